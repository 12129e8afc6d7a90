"""Standbys: the lag that they report, and the errors that they outlive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.runtime.errors import StateError
from streams.runtime.state import standby
from streams.runtime.state.standby import Standbys
from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.kafka_fakes import CHANGELOG, FakeCluster, Record


class SilentConsumer:
    """A consumer of a changelog whose broker answers no fetch."""

    def get_watermark_offsets(self, tp: TopicPartition, timeout: float = 0.0, cached: bool = False) -> tuple[int, int]:
        return -1001, -1001

    def assign(self, partitions: list[TopicPartition]) -> None:
        pass

    def unassign(self) -> None:
        pass

    def consume(self, count: int, wait_s: float) -> list[Any]:
        return []

    def close(self) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> PartitionStore:
    """An empty store."""
    return PartitionStore(tmp_path / "0", Memory(16))


def test_the_lag_is_that_of_the_standbys_followed(store: PartitionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby counts as behind before its first read. Once none is followed, the lag is 0 and not the last one."""
    monkeypatch.setattr(standby, "changelog_reader", lambda kafka, group_id: SilentConsumer())
    lags: list[int] = []
    cluster: Any = FakeCluster(high=10)
    standbys = Standbys({}, "app-standby", cluster, lags.append)
    standbys.follow({(CHANGELOG, 0): store})
    assert set(lags) == {10}
    standbys.follow({})
    assert lags[-1] == 0
    standbys.close()
    store.close()


class Reader(SilentConsumer):
    """A consumer that returns what the test puts into its queue."""

    def __init__(self) -> None:
        self.queue: list[Any] = []
        self.assigned: list[list[int]] = []

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned.append([tp.offset for tp in partitions])

    def consume(self, count: int, wait_s: float) -> list[Any]:
        if not self.queue:
            time.sleep(0.001)
            return []
        messages = self.queue.pop(0)
        if isinstance(messages, Exception):
            raise messages
        return list(messages)


class Message(Record):
    """A changelog record, or an error."""

    failure: KafkaError | None = None

    def error(self) -> KafkaError | None:
        return self.failure


def record(offset: int, key: bytes) -> Message:
    """Return a changelog record."""
    return Message(offset, key, of=CHANGELOG)


def failure(code: int) -> Message:
    """Return an error of the partition."""
    message = Message(0, of=CHANGELOG)
    message.failure = KafkaError(code)
    return message


class FullDisk(PartitionStore):
    """A store whose disk is full as long as the test says so."""

    is_full = False
    reopened = 0

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int | None, meta: Mapping[bytes, bytes] | None = None
    ) -> None:
        if self.is_full:
            raise StateError("IO error: No space left on device")
        super().write(changes, position, meta)

    def reopen(self) -> None:
        self.reopened += 1
        super().reopen()


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    """The consumer of the standbys, which retry at once."""
    reader = Reader()
    monkeypatch.setattr(standby, "changelog_reader", lambda kafka, group_id: reader)
    monkeypatch.setattr(standby, "RETRY_PAUSE_S", 0.01)
    return reader


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_full_disk_does_not_end_the_thread(tmp_path: Path, reader: Reader) -> None:
    """A store that cannot be written is dropped and counted; once there is space it is opened again and followed from its position."""
    store, cluster, errors = FullDisk(tmp_path / "0", Memory(16)), FakeCluster(high=10), list[Exception]()
    standbys: Any = Standbys({}, "app-standby", cluster)  # type: ignore[arg-type]
    standbys.on_error = errors.append
    standbys.follow({(CHANGELOG, 0): store})
    reader.queue.append([record(0, b"a")])
    wait_until(lambda: store.position == 1)
    store.is_full = True
    reader.queue.append([record(1, b"b")])
    wait_until(lambda: len(errors) >= 1)
    store.is_full = False
    wait_until(lambda: store.reopened > 0 and reader.assigned[-1] == [1])
    reader.queue.append([record(1, b"b")])
    wait_until(lambda: store.position == 2)
    assert standbys.is_alive
    standbys.close()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("a bug"),
        KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)),
        [failure(KafkaError.TOPIC_AUTHORIZATION_FAILED)],
    ],
    ids=["bug", "broker", "rights"],
)
def test_any_error_is_retried(tmp_path: Path, reader: Reader, error: Any) -> None:
    """After any error the standbys are followed again, from what is on disk."""
    store, cluster, errors = PartitionStore(tmp_path / "0", Memory(16)), FakeCluster(high=10), list[Exception]()
    standbys: Any = Standbys({}, "app-standby", cluster)  # type: ignore[arg-type]
    standbys.on_error = errors.append
    standbys.follow({(CHANGELOG, 0): store})
    reader.queue += [[record(0, b"a")], error]
    wait_until(lambda: len(errors) == 1 and reader.assigned[-1] == [1])
    reader.queue.append([record(1, b"b")])
    wait_until(lambda: store.position == 2)
    assert standbys.is_alive
    standbys.close()


@pytest.mark.parametrize("how", ["offset deleted", "damaged"])
def test_a_store_that_cannot_continue_is_wiped(tmp_path: Path, reader: Reader, how: str) -> None:
    """A store whose position was deleted from the changelog, or that is damaged, is wiped and followed from the start."""
    store, cluster = FullDisk(tmp_path / "0", Memory(16)), FakeCluster(high=10)
    standbys: Any = Standbys({}, "app-standby", cluster)  # type: ignore[arg-type]
    standbys.follow({(CHANGELOG, 0): store})
    reader.queue.append([record(4, b"a")])
    wait_until(lambda: store.position == 5)
    cluster.low = 7
    if how == "damaged":
        store.mark_damaged("Corruption")
        store.is_full = True
        reader.queue.append([record(5, b"b")])
    else:
        reader.queue.append([failure(KafkaError._AUTO_OFFSET_RESET)])
    wait_until(lambda: reader.assigned[-1] == [7])
    store.is_full = False
    assert (store.get(b"a"), store.position) == (None, 0)
    assert standbys.is_alive
    standbys.close()


class BlockedConsumer(SilentConsumer):
    """A consumer whose reads do not return until the test lets them."""

    def __init__(self) -> None:
        self.is_reading = threading.Event()
        self.may_return = threading.Event()

    def consume(self, count: int, wait_s: float) -> list[Any]:
        self.is_reading.set()
        self.may_return.wait()
        return []


def test_a_thread_that_stands_still_is_noticed(store: PartitionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds since the thread last began a read grow while it stands still; without a standby they are 0."""
    consumer = BlockedConsumer()
    monkeypatch.setattr(standby, "changelog_reader", lambda kafka, group_id: consumer)
    cluster: Any = FakeCluster()
    standbys = Standbys({}, "app-standby", cluster)
    assert standbys.silence_s == 0
    standbys.follow({(CHANGELOG, 0): store})
    consumer.is_reading.wait()
    standbys._looked_at -= 100
    assert standbys.silence_s >= 100
    consumer.may_return.set()
    wait_until(lambda: standbys.silence_s < 100)
    standbys.follow({})
    assert standbys.silence_s == 0
    standbys.close()
    store.close()
