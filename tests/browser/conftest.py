"""One Chromium for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.chromium import chromium, shared_chromium


@pytest.fixture(scope="session", autouse=True)
def chromium_of_the_session() -> Iterator[None]:
    """Run Chromium while tests need it, if it is installed."""
    if chromium() is None:
        yield
        return
    with shared_chromium():
        yield
