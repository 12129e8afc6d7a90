"""The table of customer pages: until when it has read the topic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.gateway import customer_pages
from streams.gateway.customer_pages import CustomerPageTable
from streams.observability import metrics
from streams.runtime.state.store import Memory
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from tests.harness.kafka_fakes import FakeCluster, Record

PARTITIONS = 2


class Cluster(FakeCluster):
    """A cluster that gives one end after the other, and then no longer answers. Each answer resets the time of the table."""

    def __init__(self, *ends: int) -> None:
        super().__init__()
        self._ends = list(ends)

    def bounds(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, int]]:
        if not self._ends:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        metrics.GATEWAY_PAGES_READ.set(0)
        return dict.fromkeys(partitions, (0, self._ends.pop(0)))


class Consumer:
    """A consumer that returns one batch after the other, and then stops the table."""

    def __init__(self, table: CustomerPageTable, *batches: list[Record]) -> None:
        self._table = table
        self._batches = list(batches)

    def assign(self, partitions: list[TopicPartition]) -> None:
        pass

    def consume(self, count: int, wait_s: float) -> list[Any]:
        if not self._batches:
            self._table._stop.set()
            return []
        return self._batches.pop(0)


def record(partition: int, offset: int) -> Record:
    """A record of the topic."""
    return Record(offset, of=topics.CUSTOMER_PAGES, number=partition)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CustomerPageTable]:
    """A table that has read nothing, and that asks for the ends of the topic after each batch."""
    monkeypatch.setattr(customer_pages, "ENDS_INTERVAL_S", 0.0)
    table = CustomerPageTable(tmp_path, PARTITIONS, Decoder(open_codec()), Memory(16))
    yield table
    table.stop()


def read_at() -> float:
    """The time until which the topic has been read."""
    return metrics.REGISTRY.get_sample_value("takk_gateway_customer_pages_read_timestamp_seconds") or 0.0


def follow(table: CustomerPageTable, cluster: FakeCluster, *batches: list[Record]) -> None:
    """Let the table read batches."""
    asked: Any = cluster
    table._follow(Consumer(table, *batches), asked)


def test_read_when_all_ends_are_reached(table: CustomerPageTable) -> None:
    """The table has read the topic once each partition has reached its end, and not while one of them is behind."""
    follow(table, Cluster(2), [record(0, 0), record(0, 1), record(1, 0)], [])
    assert (table.is_ready, read_at()) == (False, 0)
    table._stop.clear()
    with pytest.raises(KafkaException):  # the next request for the ends
        follow(table, Cluster(2), [record(1, 1)])
    assert table.is_ready
    assert read_at() > 0


def test_behind_again(table: CustomerPageTable) -> None:
    """A topic that has grown is read to its end once the new records are read, too."""
    follow(table, Cluster(0, 1), [], [record(0, 0)], [])
    assert (table.is_ready, read_at()) == (True, 0)


def test_away(table: CustomerPageTable) -> None:
    """While Kafka is away, nothing is left to read, but that does not count as the end of the topic."""
    with pytest.raises(KafkaException):
        follow(table, Cluster(0), [], [], [])
