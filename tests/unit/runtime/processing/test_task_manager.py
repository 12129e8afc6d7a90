"""The task manager: which partitions a worker owns, and which topics its assignment lacks."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import TopicPartition

from streams.runtime.processing.task import Task
from streams.runtime.processing.task_manager import TaskManager
from tests.harness.kafka_fakes import FakeProducer, stage


def task_manager() -> TaskManager:
    """Return a task manager without a broker."""
    return TaskManager("app", {"bootstrap.servers": "127.0.0.1:1"})


def test_topics_that_an_assignment_lacks() -> None:
    """A topic without its stage's other topics is missing, and so is a stage without partitions. An empty assignment lacks nothing."""
    manager = task_manager()
    manager.add(stage(name="one", topics=("a", "b")))
    manager.add(stage(name="two", topics=("c",)))
    complete = {("a", 1), ("b", 1), ("c", 2), ("of another", 1)}
    assert manager.missing_topics(set()) == manager.missing_topics(complete) == []
    assert manager.missing_topics(complete - {("b", 1)}) == ["b"]
    assert manager.missing_topics(complete - {("c", 2)}) == ["c"]


def test_an_input_that_an_older_worker_does_not_read() -> None:
    """Its partitions are assigned separately. The older worker keeps the partitions that it has of the stage's first topic."""
    manager = task_manager()
    manager.add(stage(name="one", topics=("a", "b")))
    assert manager.owned({("a", 1), ("b", 1), ("b", 2)}) == {("one", 1)}
    assert manager.missing_topics({("a", 1), ("b", 1), ("b", 2)}) == []


async def test_each_assignment_is_reported_when_it_is_complete() -> None:
    """An assignment is reported after its partitions are processed, also one without partitions."""
    manager, ready = task_manager(), list[bool]()
    manager.on_assigned = lambda: ready.append(manager.is_ready)
    await manager.assign(set())
    await manager.drain()
    await manager.assign(set())
    assert ready == [True, True]
    manager.close()


class Fenced(TaskManager):
    """A task manager without a broker that records the tasks it takes over."""

    def __init__(self) -> None:
        super().__init__("app", {"bootstrap.servers": "127.0.0.1:1"})
        self.add(stage(name="one", topics=("a",), table=""))
        self.taken: list[tuple[str, int]] = []

    def _take_over(self, wanted: list[tuple[str, int]]) -> None:
        self.taken = wanted
        for name, partition in wanted:
            self._tasks[name, partition] = Task(self.stages[name], partition, FakeProducer(), None, self.idle)

    def _committed(self, sources: list[TopicPartition]) -> list[TopicPartition]:
        return sources


async def test_a_member_keeps_its_tasks_over_a_rebalance() -> None:
    """The worker takes over the partitions that are new to it, and only those."""
    manager = Fenced()
    await manager.assign({("a", 0), ("a", 1)}, member_id="m-1")
    await manager.assign({("a", 1), ("a", 2)}, member_id="m-1")
    assert manager.taken == [("one", 2)]
    assert [task.partition for task in manager] == [1, 2]


@pytest.mark.parametrize("patience_s", [0.0, 60.0])
async def test_a_drain_waits_as_long_as_the_stage_allows(patience_s: float) -> None:
    """A batch in flight is waited for up to the stage's time. After it, the task is closed, so that its commit fails."""
    manager = Fenced()
    manager.stages["one"].drain_timeout_s = patience_s
    await manager.assign({("a", 0)}, member_id="m-1")
    (task,) = manager
    await task.lock.acquire()
    drain = asyncio.ensure_future(manager.drain())
    if patience_s:
        await asyncio.wait({drain}, timeout=0.3)
        assert not drain.done()
        task.lock.release()
    await drain
    assert task.is_closed == (not patience_s)


async def test_a_new_member_takes_over_all_its_tasks() -> None:
    """A worker that was out of its group has another member id. Others may have fenced its tasks meanwhile: it closes them."""
    manager = Fenced()
    await manager.assign({("a", 0), ("a", 1)}, member_id="m-1")
    old = list(manager)
    await manager.assign({("a", 0), ("a", 1)}, member_id="m-2")
    assert manager.taken == [("one", 0), ("one", 1)]
    assert all(task.is_closed for task in old)
