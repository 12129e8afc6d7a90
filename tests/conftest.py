"""The order of the tests, and the groups that `make test` runs side by side on two workers.

A group runs on one worker, one test after the other. The stacks (broker, worker, mailer) are one group: two of them at a time take each
other's processor, and then what they send comes late. They begin first because they take longest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from streams.tools.local.kafka.broker import EmbeddedKafka

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("takk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("takk")

HERE = Path(__file__).parent
STACKS, COMPUTE, BROKERS = "stacks", "compute", "brokers"
#: In the order in which the workers take them.
GROUPS = (STACKS, COMPUTE, BROKERS)
#: Tiers of which every module starts a stack, unless it carries a mark that says otherwise.
WITH_STACKS = ("integration", "crash")


def group_of(item: pytest.Item) -> str:
    """Return the group of a test: its module's mark, else by its tier."""
    mark = item.get_closest_marker("xdist_group")
    if mark is not None:
        return str(mark.args[0])
    return STACKS if item.path.relative_to(HERE).parts[0] in WITH_STACKS else COMPUTE


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its group, and sort the tests by it."""
    groups = {item: group_of(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: GROUPS.index(groups[item]))


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """A broker for all tests that have topics of their own."""
    with EmbeddedKafka() as kafka:
        yield kafka
