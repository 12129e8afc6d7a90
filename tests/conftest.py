"""The order of the tests, and the groups that `make test` runs side by side on two workers.

A group runs on one worker, one test after the other. The stacks (broker, worker, mailer) are one group: two of them at a time take each
other's processor, and then what they send comes late. They begin first because they take longest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from streams.tools.local.kafka.broker import EmbeddedKafka

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("takk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("takk")

STACKS, COMPUTE, BROKERS = "stacks", "compute", "brokers"
#: In the order in which the workers take them.
GROUPS = (STACKS, COMPUTE, BROKERS)
#: Tiers of which every module starts a stack, unless it is one of those below.
WITH_STACKS = ("integration", "crash")
#: Modules that need a broker and nothing else that computes.
WITH_BROKERS = ("test_embedded_kafka.py", "test_runtime.py", "test_topics.py")


def group_of(nodeid: str) -> str:
    """Return the group of the test with this node id: `tests/<tier>/.../<module>.py::<test>`."""
    _, tier, *_, module = nodeid.partition("::")[0].split("/")
    if tier not in WITH_STACKS:
        return COMPUTE
    return BROKERS if module in WITH_BROKERS else STACKS


class GroupScheduling(LoadScopeScheduling):
    """A scheduler of pytest-xdist that hands out whole groups, in their order.

    `--dist loadgroup` does not do it: pytest-xdist 3.8 writes the group into a field that pytest 9.2 no longer reads.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Hand out the groups; not the one with the most tests first, but the one that takes longest."""
    config.option.loadscopereorder = False
    return GroupScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by their group."""
    items.sort(key=lambda item: GROUPS.index(group_of(item.nodeid)))


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """A broker for all tests that have topics of their own."""
    with EmbeddedKafka() as kafka:
        yield kafka
