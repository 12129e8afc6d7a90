"""The uncommitted end of a changelog on a real broker: what a fenced owner had acknowledged is found, and nothing can be added to it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import KafkaException, Producer

from streams.runtime.kafka.client_config import producer_config
from streams.runtime.kafka.topic_admin import ensure_topics
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.task import Task
from streams.runtime.state.store import Memory, PartitionStore
from streams.runtime.state.uncommitted import uncommitted_changes
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.wire.topics import changelog_spec
from tests.harness.kafka_fakes import stage


class Owners:
    """The owners of one partition of a changelog, one after the other."""

    def __init__(self, kafka: EmbeddedKafka, folder: Path) -> None:
        self.kafka = {"bootstrap.servers": kafka.bootstrap}
        self.topic = f"{uuid4().hex}-sends-changelog"
        ensure_topics(self.kafka, [changelog_spec(self.topic)], 1, 1)
        self._folder = folder
        self._stores: list[PartitionStore] = []
        self._threads = ThreadPoolExecutor(1)

    def next(self) -> Batch[Any]:
        """Fence the owner before, and return a batch of a new owner."""
        producer = Producer(producer_config(self.kafka, self.topic))
        producer.init_transactions(30.0)
        made = stage(on_fatal=lambda stage, partition, error: None)
        made.changelog = self.topic
        self._stores.append(PartitionStore(self._folder / uuid4().hex, Memory(16)))
        return Batch(Task(made, 0, producer, self._stores[-1]), [], 0, None, self._threads)

    @property
    def uncommitted(self) -> dict[bytes, bytes | None]:
        """The uncommitted end of the changelog."""
        return uncommitted_changes(self.kafka, self.topic, 0)

    def close(self) -> None:
        """Close the stores."""
        for store in self._stores:
            store.close()


@pytest.fixture
def owners(kafka: EmbeddedKafka, tmp_path: Path) -> Iterator[Owners]:
    """The owners of a new changelog."""
    owners = Owners(kafka, tmp_path)
    yield owners
    owners.close()


def test_a_dead_owners_changes_are_found(owners: Owners) -> None:
    """Acknowledged changes of owners that died are found, the newest of each key. Committed changes are not among them."""
    assert owners.uncommitted == {}
    first = owners.next()
    first.put(b"a", b"committed")
    first.put(b"b", b"committed")
    asyncio.run(first.checkpoint())
    first.put(b"a", b"1")
    first.put(b"c", b"1")
    asyncio.run(first.acknowledge())
    second = owners.next()
    assert owners.uncommitted == {b"a": b"1", b"c": b"1"}
    second.put(b"c", b"2")
    asyncio.run(second.acknowledge())
    third = owners.next()
    assert owners.uncommitted == {b"a": b"1", b"c": b"2"}
    third.put(b"a", b"3")
    asyncio.run(third.checkpoint())
    assert owners.uncommitted == {b"c": b"2"}


@pytest.mark.parametrize("is_open", [True, False])
def test_a_fenced_owner_gets_no_acknowledgement(owners: Owners, is_open: bool) -> None:
    """A paused owner, with or without an open transaction, gets no acknowledgement once the next owner has fenced it."""
    first = owners.next()
    if is_open:
        first.put(b"a", b"1")
        asyncio.run(first.acknowledge())
    owners.next()
    before = owners.uncommitted
    first.put(b"b", b"1")
    with pytest.raises(KafkaException):
        asyncio.run(first.acknowledge())
    assert owners.uncommitted == before == ({b"a": b"1"} if is_open else {})
