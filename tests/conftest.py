"""Order the tests, and put them into the groups that `make test` runs on four workers.

A worker runs a whole group, one test after the other. Tests with processes wait much, so four workers use two cores. The tests that start a
stack (broker, worker, mailer) and count its emails are one group: two stacks at a time slow each other down, and their emails arrive late.
This group starts first because it takes longest. The tests without processes are several groups: the last ones go to the workers that have
nothing else to do, so that all end at the same time.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest
import structlog
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from streams.tools.local.kafka.broker import EmbeddedKafka
from tests.harness.examples import examples

# Without stored bytecode each process that a test starts compiles a thousand modules again, which takes longer than all else at its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# By default structlog prints a traceback with the variables of each frame, which takes up to a second.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)
# The time of an example depends on the load of the machine, not on the code.
settings.register_profile(
    "takk", max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("takk")

STACKS, BROKERS, OTHER_STACKS = "stacks", "brokers", "other stacks"
#: The groups of tests without processes, each with some of the modules.
COMPUTE = tuple(f"compute {number}" for number in range(8))
#: The modules without processes that take longest, one for each of the first groups.
LONG = ("test_rules.py", "test_any_yaml.py", "test_any_record.py")
#: The order in which the workers take the groups.
GROUPS = (STACKS, BROKERS, *COMPUTE[:4], OTHER_STACKS, *COMPUTE[4:])
#: The tiers whose modules start a stack, except for the modules below, and a module that starts one in another tier.
WITH_STACKS = ("integration", "crash", "test_compose_services.py")
#: Modules that need a broker but no stack.
WITH_BROKERS = (
    "test_crashing_records.py",
    "test_customer_pages.py",
    "test_embedded_kafka.py",
    "test_revenue_consumer.py",
    "test_gateway.py",
    "test_gateway_publishing.py",
    "test_runtime.py",
    "test_state_faults.py",
    "test_topics.py",
    "test_transactional_resend.py",
    "test_waiting_for_kafka.py",
)
#: Modules that start a stack, and wait for its metrics or its records rather than for many emails.
WITH_OTHER_STACKS = (
    "test_compose_services.py",
    "test_dashboards_on_prometheus.py",
    "test_customer_requests.py",
    "test_erasure.py",
    "test_pools.py",
    "test_probes.py",
)


def group_of(nodeid: str) -> str:
    """Return the group of the test with this node id: `tests/<tier>/.../<module>.py::<test>`."""
    path = nodeid.partition("::")[0].split("/")
    if not set(path).intersection(WITH_STACKS):
        number = LONG.index(path[-1]) if path[-1] in LONG else crc32("/".join(path).encode())
        return COMPUTE[number % len(COMPUTE)]
    if path[-1] in WITH_OTHER_STACKS:
        return OTHER_STACKS
    return BROKERS if path[-1] in WITH_BROKERS else STACKS


class GroupScheduling(LoadScopeScheduling):
    """A scheduler for pytest-xdist that gives a worker one group at a time.

    `--dist loadgroup` does not work here: pytest-xdist 3.8 writes the group into an attribute that pytest 9.2 does not read.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def remove_node(self, node: Any) -> str | None:
        """Give the groups of a lost worker to the others, except those that it has completed.

        Another worker would wait without end after a group with no test left (pytest-xdist issue 1323).
        """
        groups = self.assigned_work[node]
        self.assigned_work[node] = {group: tests for group, tests in groups.items() if not all(tests.values())}
        return super().remove_node(node)

    def _reschedule(self, node: Any) -> None:
        # When two workers are lost at once, the first replacement is ready while the second one collects (pytest-xdist issue 1362). The
        # second one gets its group when it has collected.
        if node in self.registered_collections:
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Return the scheduler. It keeps the order of the groups, and does not start with the group that has the most tests."""
    config.option.loadscopereorder = False
    return GroupScheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests by their group."""
    items.sort(key=lambda item: GROUPS.index(group_of(item.nodeid)))


def pytest_collection_finish() -> None:
    """Leave the collected tests out of the garbage collector's work: they live until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """Start one broker for all tests whose topics have names of their own."""
    with EmbeddedKafka() as kafka:
        yield kafka
