"""The task manager: which partitions a worker owns, and which topics its assignment lacks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.runtime.errors import GroupLeft, StoreError
from streams.runtime.kafka.topic_admin import TopicMismatch
from streams.runtime.processing.stage import Stage
from streams.runtime.processing.task import Task
from streams.runtime.processing.task_manager import TaskManager
from streams.runtime.state.offsets import META, encode_offsets
from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.kafka_fakes import CHANGELOG, FakeCluster, FakeProducer, Record, stage
from tests.harness.kafka_fakes import batch as batch_of


def task_manager() -> TaskManager:
    """Return a task manager without a broker."""
    manager, cluster = TaskManager("app", {"bootstrap.servers": "127.0.0.1:1"}), FakeCluster(high=100)
    manager.takeover.cluster = cluster  # type: ignore[assignment]
    return manager


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
        self.cluster = FakeCluster(high=100)
        self.takeover.cluster = self.cluster  # type: ignore[assignment]
        self.takeover.committed = self._group_offsets  # type: ignore[method-assign]
        self.taken: list[tuple[str, int]] = []

    def _take_over(self, wanted: list[tuple[str, int]]) -> None:
        self.taken = wanted
        for name, partition in wanted:
            self._tasks[name, partition] = Task(self.stages[name], partition, FakeProducer(), None, self.idle)

    def _group_offsets(self, sources: list[TopicPartition]) -> list[TopicPartition]:
        return sources


async def test_a_member_keeps_its_tasks_over_a_rebalance() -> None:
    """The worker takes over the partitions that are new to it, and only those."""
    manager = Fenced()
    await manager.assign({("a", 0), ("a", 1)}, member_id="m-1")
    await manager.assign({("a", 1), ("a", 2)}, member_id="m-1")
    assert manager.taken == [("one", 2)]
    assert [task.partition for task in manager] == [1, 2]


class SideBySide(TaskManager):
    """A task manager with two tables and without a broker, which notes the steps of a takeover."""

    def __init__(self, folder: Path) -> None:
        super().__init__("app", {"bootstrap.servers": "127.0.0.1:1"})
        self.steps: list[str] = []
        self.both = threading.Barrier(2, timeout=30)
        for name in ("one", "two"):
            self.add(stage(name=name, topics=(name,), table=name))
            self.stores[name] = self
        self.folder = folder
        self.takeover.fence = self._fence  # type: ignore[method-assign, assignment]
        self.takeover.restore = self._noted_restore  # type: ignore[method-assign, assignment]

    def partition(self, number: int) -> PartitionStore:
        """Return the store of a partition."""
        return PartitionStore(self.folder / uuid4().hex, Memory(16))

    def _fence(self, name: str, partition: int) -> FakeProducer:
        self.both.wait()
        self.steps.append("fenced")
        return FakeProducer()

    def _noted_restore(self, stage: Stage[Any], stores: Any, on_progress: Any) -> int:
        self.both.wait()
        self.steps.append("restored")
        return 0


def test_a_takeover_fences_all_tasks_before_it_restores_any(tmp_path: Path) -> None:
    """All tasks are fenced at the same time, and then the stages are restored at the same time."""
    manager = SideBySide(tmp_path)
    manager._take_over([("one", 0), ("two", 0)])
    assert manager.steps == ["fenced", "fenced", "restored", "restored"]
    assert len(list(manager)) == 2


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


@pytest.mark.parametrize("patience_s", [0.0, 60.0])
async def test_a_drain_waits_for_what_is_on_its_way_outside_of_batches(patience_s: float) -> None:
    """It is waited for within the stage's time, and then left: the task stays open."""
    manager, ended = Fenced(), asyncio.Event()

    async def drained(context: Any) -> None:
        await ended.wait()

    stage_of_task = manager.stages["one"]
    stage_of_task.drain, stage_of_task.drain_timeout_s = drained, patience_s
    await manager.assign({("a", 0)}, member_id="m-1")
    (task,) = manager
    task.context = None
    drain = asyncio.ensure_future(manager.drain())
    if patience_s:
        await asyncio.wait({drain}, timeout=0.3)
        assert not drain.done()
        ended.set()
    await drain
    assert not task.is_closed


async def test_a_new_member_takes_over_all_its_tasks() -> None:
    """A worker that was out of its group has another member id. Others may have fenced its tasks meanwhile: it closes them."""
    manager = Fenced()
    await manager.assign({("a", 0), ("a", 1)}, member_id="m-1")
    old = list(manager)
    await manager.assign({("a", 0), ("a", 1)}, member_id="m-2")
    assert manager.taken == [("one", 0), ("one", 1)]
    assert all(task.is_closed for task in old)


async def test_a_member_that_missed_an_assignment_takes_over_all_its_tasks() -> None:
    """A rebalance may begin before every member has the last assignment. Another worker may have had, and fenced, any task in it."""
    manager = Fenced()
    await manager.assign({("a", 0), ("a", 1)}, member_id="m-1", group_generation=4)
    old = list(manager)
    for generation in (5, 5):
        manager.taken = []
        await manager.assign({("a", 0), ("a", 1)}, member_id="m-1", group_generation=generation)
        assert manager.taken == []
    await manager.assign({("a", 0), ("a", 1)}, member_id="m-1", group_generation=7)
    assert manager.taken == [("one", 0), ("one", 1)]
    assert all(task.is_closed for task in old)


class Restored(Fenced):
    """A task manager whose one task has a store, and whose group has the offsets that the test sets."""

    def __init__(self, store: PartitionStore) -> None:
        super().__init__()
        self.of_group: dict[str, int] = {}
        self.lost: list[tuple[str, str, int]] = []
        self.takeover.on_lost = lambda *lost: self.lost.append(lost)
        self.takeover.group_metadata = lambda: None  # type: ignore[method-assign]
        self.producer = FakeProducer()
        self._store_of_task = store

    def _take_over(self, wanted: list[tuple[str, int]]) -> None:
        for name, partition in wanted:
            task = Task(self.stages[name], partition, self.producer, self._store_of_task, self.idle)  # type: ignore[arg-type]
            self._tasks[name, partition] = task

    def _group_offsets(self, sources: list[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition(tp.topic, tp.partition, self.of_group.get(tp.topic, -1001)) for tp in sources]

    def _release(self, task: Task[Any]) -> None:
        task.is_closed = True

    async def starts(self) -> dict[str, int]:
        """Own partition 0, and return the offset from which each topic is read."""
        await self.assign({(topic, 0) for topic in self.stages["one"].topics})
        return {tp.topic: tp.offset for tp in self.fetcher.starts}


@pytest.fixture
def restored(tmp_path: Path) -> Restored:
    """A task manager of a stage of two topics, with a store whose state contains records of the first topic up to offset 50."""
    store = PartitionStore(tmp_path / "0", Memory(16))
    store.write({b"k": b"1"}, 7, {META: encode_offsets("cluster", {"a": 50})})
    manager = Restored(store)
    manager.stages.clear()
    manager._by_topic.clear()
    manager.add(stage(name="one", topics=("a", "b")))
    return manager


async def test_expired_offsets_are_those_of_the_state(restored: Restored) -> None:
    """A group without offsets continues at those of the state; a topic that was never read starts at its beginning."""
    assert await restored.starts() == {"a": 50, "b": 0}
    restored.of_group = {"a": 40, "b": 3}
    assert await restored.starts() == {"a": 50, "b": 3}
    restored.of_group = {"a": 60, "b": 3}
    assert await restored.starts() == {"a": 60, "b": 3}
    assert restored.lost == []


async def test_records_that_were_deleted_unread_are_counted_once(restored: Restored) -> None:
    """A stage that retention has overtaken continues at the first record left. A restart does not count the lost ones again."""
    restored.cluster.low = 80
    assert await restored.starts() == {"a": 80, "b": 80}
    assert restored.lost == [("one", "a", 30)]
    restored._tasks.clear()
    assert await restored.starts() == {"a": 80, "b": 80}
    assert restored.lost == [("one", "a", 30)]


async def test_lost_records_are_counted_once_by_all_owners(restored: Restored) -> None:
    """The loss is committed to the group before it is counted, so the next owner, with another disk, does not find it."""
    state = restored._store_of_task.meta(META)
    restored.cluster.low = 80
    await restored.starts()
    assert (restored.producer.calls, restored.producer.offsets) == (["begin", "offsets", "commit"], {"a": 80})
    restored._tasks.clear()
    restored.of_group = restored.producer.offsets
    restored._store_of_task.write({}, None, {META: state or b""})
    assert await restored.starts() == {"a": 80, "b": 80}
    assert restored.lost == [("one", "a", 30)]


async def test_a_loss_that_is_not_committed_is_not_counted(restored: Restored) -> None:
    """The worker ends, and whoever owns the partition next counts."""
    restored.cluster.low = 80
    restored.producer.fail["commit"] = KafkaException(KafkaError(KafkaError._FENCED))
    with pytest.raises(KafkaException):
        await restored.starts()
    assert restored.lost == []
    restored._tasks.clear()
    restored.producer = FakeProducer()
    await restored.starts()
    assert restored.lost == [("one", "a", 30)]


async def test_records_lost_while_they_are_read(restored: Restored) -> None:
    """They are counted with the first commit behind them, or by a takeover before it, but not by both."""
    await restored.starts()
    (task,) = restored
    restored.cluster.low = 80
    for _ in range(2):
        assert restored.takeover.start_again(task, "a", 0, 50) == 80
        task.count_lost([TopicPartition("a", 0, 50), TopicPartition("b", 0, 90)])
        assert restored.lost == []
        restored.takeover.starts({("a", 0): task})
        assert restored.lost == [("one", "a", 30)]
        restored.lost.clear()
        task.offsets["a"] = 50
    restored.takeover.start_again(task, "a", 0, 50)
    one = batch_of(task, [Record(80, of="a")])
    await one.commit()
    await one.done()
    assert restored.lost == [("one", "a", 30)]
    restored.takeover.starts({("a", 0): task})
    assert restored.lost == [("one", "a", 30)]


async def test_an_input_that_ends_before_the_state_is_refused(restored: Restored) -> None:
    """The error names the topic and the remedy; with accepted offsets the group's offset holds."""
    restored.cluster.high = 49
    with pytest.raises(StoreError, match=r"a\[0\] ends at offset 49, but was read up to offset 50"):
        await restored.starts()
    restored.of_group, restored.takeover.are_offsets_accepted = {"a": 20}, True
    assert await restored.starts() == {"a": 20, "b": 0}


async def test_a_recreated_input_is_refused(restored: Restored) -> None:
    """However many records it has: the offset of the state is one of the earlier topic. The first start learns the id."""
    restored.cluster.id_of = {"a": "first"}
    assert await restored.starts() == {"a": 50, "b": 0}
    (task,) = restored
    restored._store_of_task.write({}, None, {META: task.encode_offsets({"b": 1})})
    restored.cluster.id_of = {"a": "second", "b": "first"}
    restored._tasks.clear()
    with pytest.raises(
        StoreError, match=r"a\[0\] was read up to offset 50, and was deleted and recreated since.*--accept-offsets"
    ):
        await restored.starts()
    restored.of_group, restored.takeover.are_offsets_accepted = {"a": 20}, True
    assert await restored.starts() == {"a": 20, "b": 0}


async def test_accepted_offsets_become_those_of_the_state(restored: Restored) -> None:
    """Before its first commit, the next start without the option continues where the accepted offset was."""
    restored.of_group, restored.takeover.are_offsets_accepted = {"a": 20}, True
    assert await restored.starts() == {"a": 20, "b": 0}
    restored._tasks.clear()
    restored.takeover.are_offsets_accepted = False
    assert await restored.starts() == {"a": 20, "b": 0}


async def test_state_without_any_offset_is_refused(restored: Restored, tmp_path: Path) -> None:
    """State of an older version, or of another cluster, with an empty group: reading from the start would do everything twice."""
    store = restored._store_of_task
    store.write({}, None, {META: encode_offsets("another", {"a": 50})})
    with pytest.raises(StoreError, match=r"no committed offset for a, b.*--accept-offsets"):
        await restored.starts()
    restored._tasks.clear()
    restored.of_group = {"a": 20}
    assert await restored.starts() == {"a": 20, "b": 0}


async def test_a_first_commit_that_was_aborted(restored: Restored) -> None:
    """A worker that ended before its first commit leaves an aborted transaction: a position, but no state. The input is read from the start."""
    restored._store_of_task.wipe()
    restored._store_of_task.write({}, 40)
    assert await restored.starts() == {"a": 0, "b": 0}


async def test_a_table_that_is_empty_although_its_input_was_read(restored: Restored) -> None:
    """Its changelog was deleted."""
    restored._store_of_task.wipe()
    restored.of_group = {"b": 1}
    with pytest.raises(
        StoreError, match=r"is empty, but b\[0\] was processed up to offset 1: the changelog was deleted"
    ):
        await restored.starts()


@pytest.mark.parametrize("topic", ["a", "b", CHANGELOG])
async def test_added_partitions_are_refused(restored: Restored, topic: str) -> None:
    """Partitions that were added to one topic would be read by nobody: the next assignment ends the worker in words."""
    restored.cluster.counts = dict.fromkeys(("a", "b", CHANGELOG, "another"), 4)
    await restored.starts()
    restored.cluster.counts[topic] = 8
    with pytest.raises(TopicMismatch, match=f"topic {topic} has 8 partitions and must have 4"):
        await restored.starts()


class Idle(Fenced):
    """A task manager whose one task was last used a day ago."""

    def __init__(self, offset: int, restored: int) -> None:
        super().__init__()
        self.offset = offset
        self.errors: list[Exception] = []
        self.stages["one"].on_fatal = lambda stage, partition, error: self.errors.append(error)
        self.takeover.fence = lambda name, partition: FakeProducer()  # type: ignore[method-assign, assignment, return-value]
        self.takeover.restore = lambda stage, stores, on_progress: restored  # type: ignore[method-assign]
        self.takeover.group_metadata = lambda: None  # type: ignore[method-assign]
        self.takeover.idle_limit_s = 3600.0

    def _group_offsets(self, sources: list[TopicPartition]) -> list[TopicPartition]:
        return [TopicPartition(tp.topic, tp.partition, self.offset) for tp in sources]

    async def producers(self, store: PartitionStore, idle_s: float) -> tuple[Any, Any]:
        """Return the producer before and after one batch of the task."""
        await self.assign({("a", 0)})
        (task,) = self
        task.store, task.offsets = store, {"a": 5}
        task._used = time.monotonic() - idle_s, time.time()
        before = task.producer

        async def stream() -> AsyncIterator[Any]:
            yield task, [], self.generation

        async for batch in self.batches(stream()):
            assert batch.task is task
        return before, task.producer


@pytest.mark.parametrize(("idle_s", "is_new"), [(86_400.0, True), (60.0, False)])
async def test_an_idle_task_gets_a_new_producer(tmp_path: Path, idle_s: float, is_new: bool) -> None:
    """A task that was idle for longer than the limit gets a producer whose transactional id has not expired; others keep theirs."""
    manager = Idle(offset=5, restored=0)
    before, after = await manager.producers(PartitionStore(tmp_path / "0", Memory(16)), idle_s)
    assert (before is not after) == is_new
    assert manager.errors == []


@pytest.mark.parametrize(("offset", "restored"), [(6, 0), (5, 1)], ids=["offset", "state"])
async def test_an_idle_task_that_another_worker_has_used(tmp_path: Path, offset: int, restored: int) -> None:
    """A worker that has lost its partition unawares must not fence the owner and go on from its own old state: it ends."""
    manager = Idle(offset, restored)
    with pytest.raises(GroupLeft, match="another worker has owned partition 0 of one"):
        await manager.producers(PartitionStore(tmp_path / "0", Memory(16)), 86_400.0)
    assert len(manager.errors) == 1


def test_a_sleeping_machine_counts_as_idle(tmp_path: Path) -> None:
    """The monotonic clock stands still while a machine sleeps; the wall clock shows how long that was."""
    one = Task(stage(), 0, FakeProducer(), None)  # type: ignore[arg-type]
    assert one.idle_s < 60
    one._used = time.monotonic(), time.time() - 90_000
    assert one.idle_s > 80_000
    one.touch()
    assert one.idle_s < 60
