"""The fetcher: batches of idle tasks, and a reader that is never closed during a read."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from confluent_kafka import TopicPartition

from streams.runtime.processing import fetcher as fetcher_module
from streams.runtime.processing.fetcher import Fetcher
from streams.runtime.processing.task import LARGE_BATCH, MAX_REST_S, Task
from streams.runtime.processing.task_manager import TaskManager
from tests.harness.kafka_fakes import TOPIC, FakeProducer, Record, stage, task


class Reader:
    """A consumer whose read lasts until the test releases it; it records the order of calls."""

    def __init__(self) -> None:
        self.is_reading = threading.Event()
        self.released = threading.Event()
        self.calls: list[str] = []

    def consume(self, count: int, wait_s: float) -> list[Any]:
        self.is_reading.set()
        assert self.released.wait(10)
        self.calls.append("read")
        return []

    def assign(self, starts: list[TopicPartition]) -> None:
        self.calls.append("moved")

    def close(self) -> None:
        self.calls.append("closed")


def wait_for_read(fetcher: Fetcher, reader: Reader, act: Callable[[], object]) -> None:
    """Begin a read and then `act`, each in its thread. `act` must wait until the read ends."""
    fetcher._reader = reader
    reading = threading.Thread(target=fetcher.read, args=(0.02, 0))
    reading.start()
    assert reader.is_reading.wait(10)
    acting = threading.Thread(target=act)
    acting.start()
    acting.join(0.2)
    assert acting.is_alive()
    reader.released.set()
    reading.join(10)
    acting.join(10)


def test_the_reader_is_closed_after_its_last_read() -> None:
    """librdkafka never returns from a read of a consumer that is closed meanwhile, and the process could not end."""
    task_manager, reader = TaskManager("app", {}), Reader()
    wait_for_read(task_manager.fetcher, reader, task_manager.close)
    assert reader.calls == ["read", "closed"]
    assert task_manager.fetcher.read(0.02, 0) == []


class Log:
    """A consumer of one partition with ten records, which remembers its position."""

    def __init__(self) -> None:
        self.position = 0

    def assign(self, starts: list[TopicPartition]) -> None:
        self.position = starts[0].offset

    def consume(self, count: int, wait_s: float) -> list[Any]:
        first, self.position = self.position, min(10, self.position + count)
        return [Record(offset) for offset in range(first, self.position)]


def moved(fetcher: Fetcher) -> int:
    """Move the reader, and return the number of the move."""
    move = fetcher.next_move()
    fetcher.seek(move)
    return move


def test_a_read_of_an_earlier_assignment_takes_nothing() -> None:
    """A read that begins after the reader was moved returns nothing, and moves nothing: nobody would process its records."""
    fetcher = fetcher_of(task(None))
    fetcher._reader = Log()
    fetcher.starts = [TopicPartition(TOPIC, 0, 3)]
    earlier = moved(fetcher)
    assert [record.offset() for record in fetcher.read(0.0, earlier)] == [3, 4, 5, 6, 7, 8, 9]
    move = moved(fetcher)
    assert fetcher.read(0.0, earlier) == []
    assert [record.offset() for record in fetcher.read(0.0, move)] == [3, 4, 5, 6, 7, 8, 9]


def test_a_move_of_an_earlier_assignment_moves_nothing() -> None:
    """A move that begins after a later one neither moves the reader back nor ends the reads of the present assignment."""
    fetcher = fetcher_of(task(None))
    fetcher._reader = Log()
    fetcher.starts = [TopicPartition(TOPIC, 0, 3)]
    earlier = fetcher.next_move()
    move = moved(fetcher)
    assert len(fetcher.read(0.0, move)) == 7
    fetcher.seek(earlier)
    assert fetcher.read(0.0, move) == []
    fetcher._reader.position = 5
    assert [record.offset() for record in fetcher.read(0.0, move)] == [5, 6, 7, 8, 9]


def test_a_move_waits_for_a_read() -> None:
    """The reader is not moved while another thread reads: that read would take records that follow the move."""
    fetcher, reader = fetcher_of(task(None)), Reader()
    wait_for_read(fetcher, reader, lambda: moved(fetcher))
    assert reader.calls == ["read", "moved"]


def test_an_unreachable_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster without a reachable broker is down as long as librdkafka repeats that, and no read raises because of it."""
    one = task(None)
    fetcher = Fetcher({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, "group", {TOPIC: one.stage}, {}, **LIMITS)
    assert not fetcher.is_cluster_down
    fetcher.starts = [TopicPartition(TOPIC, 0, 0)]
    move = moved(fetcher)
    deadline = time.monotonic() + 60
    while not fetcher.is_cluster_down and time.monotonic() < deadline:
        assert fetcher.read(0.05, move) == []
    assert fetcher.is_cluster_down
    monkeypatch.setattr(fetcher_module, "DOWN_S", 0.0)
    assert not fetcher.is_cluster_down
    fetcher.close()


LIMITS: dict[str, Any] = {"batch_records": 100, "batch_bytes": 1 << 20, "start_of": lambda *at: 0}


def fetcher_of(one: Task[Any], **limits: int) -> Fetcher:
    """Return a fetcher with one task."""
    return Fetcher({}, "group", {TOPIC: one.stage}, {(one.stage.name, 0): one}, **LIMITS | limits)


def sizes(batches: Any) -> list[int]:
    """Return the number of records of each batch."""
    return [len(records) for _, records in batches]


def test_records_wait_while_their_task_commits() -> None:
    """A task that commits gets no batch. Everything that arrives meanwhile is its next batch."""
    one = task(None)
    fetcher = fetcher_of(one)
    assert sizes(fetcher.next_batches([Record(0)], 0)) == [1]
    asyncio.run(one.lock.acquire())
    one.is_queued = False
    assert sizes(fetcher.next_batches([Record(1), Record(2)], 0)) == []
    assert (fetcher.has_waiting, fetcher.is_full) == (True, False)
    one.lock.release()
    assert sizes(fetcher.next_batches([Record(3)], 0)) == [3]
    assert not fetcher.has_waiting


def test_records_reach_their_task() -> None:
    """A read mixes topics and partitions. Each task gets its records in the order of the read, those of its topics together."""
    orders, shipments, others = "orders", "shipments", "others"
    producer: Any = FakeProducer()
    first, second = stage(topics=(orders, shipments)), stage(name="other", topics=(others,))
    tasks = {(of.name, number): Task(of, number, producer, None) for of in (first, second) for number in (0, 1)}
    fetcher = Fetcher({}, "group", {orders: first, shipments: first, others: second}, tasks, **LIMITS)
    read = [(orders, 0), (orders, 0), (shipments, 0), (others, 0), (orders, 1), (others, 1), (others, 0), (orders, 0)]
    records = [Record(at, of=topic, number=number) for at, (topic, number) in enumerate(read)]
    batches = fetcher.next_batches(records, 0)
    offsets = {(one.stage.name, one.partition): [record.offset() for record in batch] for one, batch in batches}
    assert offsets == {("stage", 0): [0, 1, 2, 7], ("other", 0): [3, 6], ("stage", 1): [4], ("other", 1): [5]}


def test_a_batch_has_limits() -> None:
    """A batch ends at its limits in records and in bytes. The rest waits for the next batch."""
    one = task(None)
    fetcher = fetcher_of(one, batch_records=2)
    assert sizes(fetcher.next_batches([Record(n) for n in range(5)], 0)) == [2]
    assert not fetcher.is_full
    one.is_queued = False
    assert sizes(fetcher.next_batches([Record(n) for n in range(5, 8)], 0)) == [2]
    assert fetcher.is_full
    many = task(None)
    fetcher = fetcher_of(many, batch_records=5000, batch_bytes=9_999)
    assert sizes(fetcher.next_batches([Record(n, body=b"0123456789") for n in range(2000)], 0)) == [1000]


def test_few_records_wait_while_their_task_rests() -> None:
    """After a small batch, records wait for the end of the rest, and are one batch then."""
    one = task(None, stage(pace_s=1.0))
    fetcher = fetcher_of(one)
    one.note_committed(1, 0.01, 10.0)
    assert sizes(fetcher.next_batches([Record(0)], 0, 10.9)) == []
    assert fetcher.has_waiting
    assert sizes(fetcher.next_batches([Record(1)], 0, 11.0)) == [2]


@pytest.mark.parametrize("limits", [{"batch_records": 3}, {"batch_records": 1_000}])
def test_many_records_do_not_wait(limits: dict[str, int]) -> None:
    """A task at rest gets a large batch, or a full one, at once."""
    one = task(None, stage(pace_s=1.0))
    fetcher = fetcher_of(one, **limits)
    one.note_committed(1, 0.01, 10.0)
    many = min(limits["batch_records"], LARGE_BATCH)
    assert sizes(fetcher.next_batches([Record(n) for n in range(many - 1)], 0, 10.1)) == []
    assert sizes(fetcher.next_batches([Record(many)], 0, 10.1)) == [many]


def test_a_rest_does_not_keep_others_from_being_read() -> None:
    """Once so many records wait that reading stops, tasks at rest get theirs: other partitions may have none yet."""
    of, producer = stage(pace_s=1.0), cast(Any, FakeProducer())
    tasks = {("stage", number): Task(of, number, producer, None) for number in range(4)}
    fetcher = Fetcher({}, "group", {TOPIC: of}, tasks, **LIMITS | {"batch_records": 2})
    for one in tasks.values():
        one.note_committed(1, 0.01, 10.0)
    assert sizes(fetcher.next_batches([Record(0, number=number) for number in range(3)], 0, 10.1)) == []
    assert sizes(fetcher.next_batches([Record(0, number=3)], 0, 10.1))[0] == 1


def test_a_due_timer_does_not_wait() -> None:
    """A task at rest gets a batch as soon as one of its timers is due, with the records that wait."""
    one: Task[int] = task(None, stage(pace_s=1.0, is_due=lambda due_ms, now_ms: due_ms <= now_ms))
    one.context = 500
    fetcher = fetcher_of(one)
    one.note_committed(1, 0.01, 10.0)
    assert sizes(fetcher.next_batches([Record(0)], 499, 10.1)) == []
    assert sizes(fetcher.next_batches([], 500, 10.1)) == [1]


def test_how_long_a_task_rests() -> None:
    """A task rests as long as its batch took, within bounds, and for its pace at least. It does not rest after a large batch."""
    one = task(None, stage(pace_s=0.05))
    rests = []
    for records, seconds in ((1, 0.01), (1, 0.1), (LARGE_BATCH - 1, 60.0), (LARGE_BATCH, 60.0)):
        one.rests_until = 0.0
        one.note_committed(records, seconds, 0.0)
        rests.append(one.rests_until)
    assert rests == [0.05, 0.1, MAX_REST_S, 0.0]
    assert one.committed_records == 2 * LARGE_BATCH + 1


def test_a_due_timer_makes_an_empty_batch() -> None:
    """An idle task without records gets an empty batch when one of its timers is due, and only then."""
    one: Task[int] = task(None, stage(is_due=lambda due_ms, now_ms: due_ms <= now_ms))
    one.context = 500
    fetcher = fetcher_of(one)
    assert sizes(fetcher.next_batches([], 499)) == []
    assert sizes(fetcher.next_batches([], 500)) == [0]
