"""The scheduler of `make test`: workers that are lost are replaced, and their tests run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import GroupScheduling

FIRST = ["tests/crash/test_a.py::one", "tests/crash/test_a.py::two"]
SECOND = ["tests/unit/test_b.py::one"]
THIRD = ["tests/integration/test_topics.py::one", "tests/integration/test_topics.py::two"]
TESTS = FIRST + SECOND + THIRD


class Node:
    """A worker; records the tests that it gets."""

    def __init__(self) -> None:
        self.gateway = SimpleNamespace(id="gw")
        self.shutting_down = False
        self.got: list[list[str]] = []

    def send_runtest_some(self, indexes: list[int]) -> None:
        self.got.append([TESTS[index] for index in indexes])

    def shutdown(self) -> None:
        self.shutting_down = True


class Config:
    """pytest's options of a run with two workers."""

    option = SimpleNamespace(loadscopereorder=False)

    def getvalue(self, name: str) -> list[str]:
        return ["popen", "popen"]


@pytest.fixture
def scheduler() -> Any:
    """A scheduler before its first worker."""
    return GroupScheduling(Config(), None)


def join(scheduler: Any, *nodes: Node) -> None:
    """Let workers start and collect."""
    for node in nodes:
        scheduler.add_node(node)
    for node in nodes:
        collect(scheduler, node)


def collect(scheduler: Any, node: Node) -> None:
    """Let one worker finish its collection, as pytest-xdist's session does."""
    scheduler.add_node_collection(node, TESTS)
    if scheduler.collection_is_completed:
        scheduler.schedule()


def test_two_workers_are_lost_at_once(scheduler: Any) -> None:
    """The first replacement starts while the second one still collects; then each takes a group."""
    old, lost = [Node(), Node()], [Node(), Node()]
    join(scheduler, *old)
    for node in old:
        scheduler.remove_node(node)
    for node in lost:
        scheduler.add_node(node)
    collect(scheduler, lost[0])
    assert lost[0].got
    collect(scheduler, lost[1])
    assert lost[1].got
    left = [test for group in scheduler.workqueue.values() for test, is_done in group.items() if not is_done]
    given = [test for node in lost for group in node.got for test in group]
    assert sorted(left + given) == sorted(TESTS)


def test_a_completed_group_is_not_given_away(scheduler: Any) -> None:
    """A worker is lost after its first group: its replacement gets the group that was not completed, and nothing empty."""
    first, second, replacement = Node(), Node(), Node()
    join(scheduler, first, second)
    for index in range(len(FIRST)):
        scheduler.mark_test_complete(first, index)
    crashed = scheduler.remove_node(first)
    assert crashed == THIRD[0]
    join(scheduler, replacement)
    assert [] not in second.got + replacement.got
    assert THIRD in second.got + replacement.got
