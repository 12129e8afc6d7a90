"""In-memory fakes of a producer, records and a task, for tests of the code around them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from streams.runtime.kafka.cluster import TopicIds
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.runtime.processing.task import Task
from streams.runtime.state.store import PartitionStore

TOPIC = "orders"
CHANGELOG = "app-stage-table-changelog"


@dataclass
class Record:
    """A record with methods for fields, like librdkafka's."""

    at: int
    name: bytes = b"k"
    body: bytes = b"v"
    of: str = TOPIC
    written_ms: int = 1000
    annotations: list[tuple[str, bytes]] | None = None
    number: int = 0

    def topic(self) -> str:
        return self.of

    def partition(self) -> int:
        return self.number

    def error(self) -> None:
        return None

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes:
        return self.name

    def value(self) -> bytes:
        return self.body

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self.annotations

    def timestamp(self) -> tuple[int, int]:
        return 1, self.written_ms

    def __len__(self) -> int:
        return len(self.body)


@dataclass
class Delivered:
    """A delivery report."""

    at: int

    def offset(self) -> int:
        return self.at


@dataclass
class FakeProducer:
    """Records every call in order. It can be full for a number of calls, and can let a call fail or hang by its name.

    `acknowledged` has the records of the open transaction that a flush has waited for.
    """

    calls: list[str] = field(default_factory=list)
    open: list[tuple[str, bytes, bytes | None]] = field(default_factory=list)
    acknowledged: list[tuple[str, bytes, bytes | None]] = field(default_factory=list)
    committed: list[tuple[str, bytes, bytes | None]] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)
    full_for: int = 0
    polled: threading.Event = field(default_factory=threading.Event)
    fail: dict[str, Exception] = field(default_factory=dict)
    hang: dict[str, threading.Event] = field(default_factory=dict)
    answers: list[bool] = field(default_factory=list)
    changelog_headers: list[Any] = field(default_factory=list)
    changelog_partitions: list[int] = field(default_factory=list)
    _reports: list[Any] = field(default_factory=list)
    _changelog_end: int = 0

    def _call(self, name: str) -> None:
        if not self.calls or self.calls[-1] != name:
            self.calls.append(name)
        if name in self.hang:
            self.hang[name].wait()
        if name in self.fail:
            raise self.fail[name]

    def begin_transaction(self) -> None:
        self._call("begin")

    def produce(self, topic: str, value: bytes | None, key: bytes, partition: int = -1, **more: Any) -> None:
        if self.full_for:
            self.full_for -= 1
            raise BufferError
        self._call("produce")
        self.open.append((topic, key, value))
        if topic == CHANGELOG:
            self.changelog_headers.append(more.get("headers"))
            self.changelog_partitions.append(partition)
            if more.get("on_delivery"):
                self._reports.append((more["on_delivery"], self._changelog_end))
            self._changelog_end += 1

    def poll(self, wait_s: float) -> int:
        self.polled.set()
        return 0

    def list_topics(self, timeout: float) -> None:
        if not self.answers.pop(0):
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def send_offsets_to_transaction(self, offsets: list[Any], metadata: Any) -> None:
        self._call("offsets")
        self.offsets.update({tp.topic: tp.offset for tp in offsets})

    def flush(self, wait_s: float) -> int:
        self._call("flush")
        self.acknowledged = list(self.open)
        for report, offset in self._reports:
            report(None, Delivered(offset))
        self._reports.clear()
        return 0

    def commit_transaction(self) -> None:
        self._call("commit")
        for report, offset in self._reports:
            report(None, Delivered(offset))
        self._reports.clear()
        self.committed += self.open
        self.open.clear()
        self.acknowledged.clear()

    def abort_transaction(self, wait_s: float) -> None:
        self._call("abort")
        self.open.clear()
        self.acknowledged.clear()


@dataclass
class FakeCluster:
    """A cluster whose topics have one id, and whose partitions all have the same bounds."""

    low: int = 0
    high: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    id_of: dict[str, str] = field(default_factory=dict)

    def bounds(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, int]]:
        return dict.fromkeys(partitions, (self.low, self.high))

    def partition_counts(self) -> dict[str, int]:
        return self.counts

    def transactional_id_expiration_s(self) -> float | None:
        return 300.0

    def ids(self, topics: Iterable[str]) -> TopicIds:
        return TopicIds("cluster", self.id_of)


def dead_letter(record: Any, reason: str, detail: str, now_ms: int) -> Any:
    """Return a dead letter with its reason."""
    return "dead-letters", record.key(), f"{reason}: {detail}".encode(), []


def stage(**changes: Any) -> Stage[Any]:
    """Return a stage with a table of bytes."""
    made: Stage[Any] = Stage(
        **({"name": "stage", "topics": (TOPIC,), "table": "table", "dead_letter": dead_letter} | changes)
    )
    made.changelog = CHANGELOG
    return made


def task(store: PartitionStore | None, of: Stage[Any] | None = None) -> Task[Any]:
    """Return a task of partition 0 with a `FakeProducer`."""
    producer: Any = FakeProducer()
    return Task(of or stage(), 0, producer, store)


def batch(of: Task[Any], records: list[Record], now_ms: int = 1000) -> Batch[Any]:
    """Return a batch that commits on its own thread."""
    return Batch(of, records, now_ms, None, ThreadPoolExecutor(1))
