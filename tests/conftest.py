"""Which tests may run side by side: those that need a broker come one after the other, the others beside them."""

from __future__ import annotations

import pytest

#: Tiers that start brokers and workers. Two of their tests at once on two cores starve each other, and some hold what comes in time.
HEAVY = ("tests/integration/", "tests/crash/")


@pytest.hookimpl(tryfirst=True)  # xdist looks at the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put all heavy tests into one group of pytest-xdist's `--dist loadgroup`."""
    for item in items:
        if item.nodeid.startswith(HEAVY):
            item.add_marker(pytest.mark.xdist_group("brokers"))
