"""Reading topics up to their end: progress, records that arrive meanwhile, and the newest record of a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.kafka import topic_reader
from streams.runtime.kafka.topic_reader import read_newest, read_to_the_end

TOPIC = "orders"


@dataclass
class Message:
    """A record, or an event of the consumer such as the end of a partition."""

    at: int
    name: bytes = b""
    body: bytes | None = b""
    number: int = 0
    failure: KafkaError | None = None

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes:
        return self.name

    def value(self) -> bytes | None:
        return self.body

    def error(self) -> KafkaError | None:
        return self.failure


@dataclass
class Metadata:
    """The metadata of one topic with one partition."""

    partitions: tuple[int, ...] = (0,)
    error: KafkaError | None = None

    @property
    def topics(self) -> dict[str, Metadata]:
        return {TOPIC: self}


@dataclass
class FakeConsumer:
    """A consumer of one partition. Offsets without a record are commit markers, which are not delivered.

    Attributes:
        records: offset -> key and value.
        end: the offset after the last one, markers included.
        at_once: the number of messages of a read.
        on_read: called at each read; records may arrive.
        failure: an error that the first read returns.
        read: the offsets of all records that were delivered.
    """

    records: dict[int, tuple[bytes, bytes | None]]
    end: int
    at_once: int = 3
    on_read: Callable[[], None] = lambda: None
    failure: KafkaError | None = None
    read: list[int] = field(default_factory=list)
    position: int = -1
    is_closed: bool = False

    def list_topics(self, topic: str, timeout: float) -> Metadata:
        return Metadata()

    def get_watermark_offsets(self, tp: TopicPartition, timeout: float) -> tuple[int, int]:
        return 0, self.end

    def offsets_for_times(self, times: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [TopicPartition(TOPIC, 0, min((n for n in self.records if n >= times[0].offset), default=-1))]

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.position = partitions[0].offset if partitions else -1

    def consume(self, count: int, timeout: float) -> list[Message]:
        self.on_read()
        if self.failure is not None:
            return [Message(-1, failure=self.failure)]
        offsets = [n for n in sorted(self.records) if n >= self.position][: self.at_once]
        if not offsets:
            return [Message(self.end, failure=KafkaError(KafkaError._PARTITION_EOF))]
        self.position = offsets[-1] + 1
        self.read += offsets
        return [Message(n, *self.records[n]) for n in offsets]

    def close(self) -> None:
        self.is_closed = True


Progress = list[tuple[int, int]]


def open_as(monkeypatch: pytest.MonkeyPatch, consumer: FakeConsumer) -> None:
    """Let the reader open `consumer`."""
    monkeypatch.setattr(topic_reader, "Consumer", lambda settings: consumer)


def read_all(consumer: FakeConsumer, progress: Progress, **options: Any) -> list[int]:
    """The offsets that are read."""
    with pytest.MonkeyPatch.context() as patch:
        open_as(patch, consumer)
        report = read_to_the_end({}, [TOPIC], group_id="g", on_progress=lambda *now: progress.append(now), **options)
        return [message.offset() for message in report]


def newest(consumer: FakeConsumer, key: bytes, progress: Progress) -> bytes | None:
    """The newest value of a key."""
    with pytest.MonkeyPatch.context() as patch:
        open_as(patch, consumer)
        return read_newest({}, TOPIC, key, group_id="g", partition=0, on_progress=lambda *now: progress.append(now))


#: Offset -> key and value, with gaps of commit markers.
PARTITIONS = st.dictionaries(
    st.integers(0, 5_000), st.tuples(st.sampled_from([b"a", b"b"]), st.sampled_from([b"1", b"2", None])), max_size=60
)


@given(PARTITIONS, st.integers(0, 20), st.integers(1, 9))
def test_progress_ends_at_the_total(records: dict[int, Any], markers: int, at_once: int) -> None:
    """Commit markers take offsets and are not delivered. The progress never falls or exceeds the total, and ends with it."""
    consumer = FakeConsumer(records, max(records, default=-1) + 1 + markers, at_once)
    progress: Progress = []
    assert read_all(consumer, progress) == sorted(records)
    assert progress == sorted(progress)
    assert progress[-1:] == ([(consumer.end, consumer.end)] if consumer.end else [])
    assert consumer.is_closed


def test_records_that_arrive_meanwhile_are_not_read() -> None:
    """A topic that is written to all the time has an end: the one at the start."""

    def write() -> None:
        for _ in range(5):
            consumer.records[consumer.end] = (b"a", b"1")
            consumer.end += 1

    consumer = FakeConsumer({0: (b"a", b"1"), 1: (b"a", b"1")}, 4, on_read=write)
    progress: Progress = []
    assert read_all(consumer, progress) == [0, 1]
    assert progress[-1] == (4, 4)


def test_reading_from_a_time() -> None:
    """Only records since a time are read, and their offsets are the total."""
    consumer = FakeConsumer(dict.fromkeys(range(10), (b"a", b"1")), 10)
    progress: Progress = []
    assert read_all(consumer, progress, since_ms=7) == [7, 8, 9]
    assert progress[-1] == (3, 3)
    assert read_all(consumer, progress, since_ms=11) == []


def test_an_error_ends_reading() -> None:
    """An error of the broker is raised, and the consumer is closed."""
    consumer = FakeConsumer({}, 5, failure=KafkaError(KafkaError._ALL_BROKERS_DOWN))
    with pytest.raises(KafkaException):
        read_all(consumer, [])
    assert consumer.is_closed


@given(PARTITIONS, st.integers(0, 20), st.integers(1, 9))
def test_the_newest_record_of_a_key(records: dict[int, Any], markers: int, at_once: int) -> None:
    """It is the one with the largest offset, wherever that is. The progress never falls or exceeds the total."""
    consumer = FakeConsumer(records, max(records, default=-1) + 1 + markers, at_once)
    progress: Progress = []
    of_key = [offset for offset in sorted(records) if records[offset][0] == b"a"]
    assert newest(consumer, b"a", progress) == (records[of_key[-1]][1] if of_key else None)
    assert progress == sorted(progress)
    assert all(done <= total == consumer.end for done, total in progress)


def test_a_key_that_changes_often_is_found_at_once() -> None:
    """Of 100,000 records, only the last range is read."""
    consumer = FakeConsumer({n: (b"a", b"%d" % n) for n in range(100_000)}, 100_000, at_once=500)
    assert newest(consumer, b"a", []) == b"99999"
    assert min(consumer.read) == 100_000 - topic_reader.FIRST_RANGE
