"""Restoring stores from their changelogs: committed records go from librdkafka straight into RocksDB write batches.

A store is restored when the consumer's *position* has reached the end of the changelog. The last record need not have the last offset,
because commit markers take offsets too. A store that cannot be a prefix of its changelog is wiped and rebuilt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.runtime import failpoints
from streams.runtime.errors import StoreError
from streams.runtime.kafka.client_config import consumer_config
from streams.runtime.kafka.retry import retry
from streams.runtime.state.store import PartitionStore

#: The number of messages of one read. Larger batches do not save time and only delay the progress report.
BATCH = 20_000
#: Milliseconds after which a store without writes is rebuilt. Kafka deletes tombstones after `delete.retention.ms` (one day by default), and
#: a store that has missed them would restore deleted keys. This leaves a margin of two hours.
OFFLINE_LIMIT_MS = 22 * 3_600_000
#: Seconds that one request for a partition's offsets may take.
OFFSETS_TIMEOUT_S = 30.0


def restore(
    kafka: Mapping[str, Any],
    topic: str,
    stores: Mapping[int, PartitionStore],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Apply the records of `topic` beyond each store's position, and return their number.

    Args:
        kafka: librdkafka settings of the cluster.
        topic: the changelog topic.
        stores: partition number -> open store.
        on_progress: called with the number of offsets restored and in total.

    Raises:
        StoreError: a store is ahead of its changelog, because the topic was deleted or recreated. State would be lost silently.
        KafkaException: the broker cannot be read.
    """
    if not stores:
        return 0
    consumer = changelog_reader(kafka, f"restore-{topic}")
    try:
        starts, ends = {}, {}
        for number, store in stores.items():
            low, high = watermarks(consumer, topic, number)
            starts[number], ends[number] = start_of(topic, number, store, low, high), high
        total = sum(ends[n] - starts[n] for n in stores)
        if total == 0:
            return 0
        behind = {number: start for number, start in starts.items() if start < ends[number]}
        consumer.assign([TopicPartition(topic, number, start) for number, start in behind.items()])
        return _follow(consumer, topic, stores, behind, total, on_progress)
    finally:
        consumer.close()


def changelog_reader(kafka: Mapping[str, Any], group_id: str) -> Any:
    """Return a consumer of committed changelog records. It must be assigned offsets, and reports the end of each partition."""
    settings = {
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "queued.min.messages": 100_000,
        "fetch.message.max.bytes": 8 << 20,
    }
    return Consumer(consumer_config(kafka, group_id, settings))


def watermarks(consumer: Any, topic: str, number: int) -> tuple[int, int]:
    """Return a partition's first offset, and the offset after its last. During a leader election, wait.

    Raises:
        KafkaException: the cluster did not answer.
    """
    request = partial(consumer.get_watermark_offsets, TopicPartition(topic, number), timeout=OFFSETS_TIMEOUT_S)
    low, high = retry(request)
    return low, high


def start_of(topic: str, number: int, store: PartitionStore, low: int, high: int) -> int:
    """Return the offset from which `store` must read its changelog. Wipe the store if its content can no longer be used.

    Args:
        topic: the changelog topic.
        number: the partition number.
        store: the open store.
        low, high: the changelog's first offset, and the offset after its last.

    Raises:
        StoreError: the store is ahead of its changelog.
    """
    position = store.position
    if position > high:
        raise StoreError(
            f"{store.path} is ahead of its changelog {topic}[{number}] (position {position}, end {high}): the topic was deleted "
            "or recreated. Restore the topic. To continue with the state in the topic, delete the directory. To start over with empty "
            "state, use another TAKK_APP_ID."
        )
    idle_ms = int(time.time() * 1000) - store.written_at_ms
    if position and (position < low or (position < high and idle_ms > OFFLINE_LIMIT_MS)):
        store.wipe()
        position = 0
    return max(position, low)


def apply(
    messages: Iterable[Any], stores: Mapping[tuple[str, int], PartitionStore]
) -> tuple[dict[tuple[str, int], int], set[tuple[str, int]], int]:
    """Write changelog records to the stores of their partitions, in one batch per store.

    Args:
        messages: records and end-of-partition events, each partition's in the order of its offsets.
        stores: (changelog topic, partition) -> open store.

    Returns:
        The new position of each partition that advanced, the partitions whose end was reached, and the number of records.

    Raises:
        KafkaException: a message is an error that is not retriable.
    """
    changes: dict[tuple[str, int], dict[bytes, bytes | None]] = {}
    positions: dict[tuple[str, int], int] = {}
    ended: set[tuple[str, int]] = set()
    applied = 0
    for message in messages:
        error = message.error()
        partition = message.topic(), message.partition()
        if error is None:
            changes.setdefault(partition, {})[message.key()] = message.value()
            positions[partition] = message.offset() + 1
            applied += 1
        elif error.code() == KafkaError._PARTITION_EOF:
            ended.add(partition)
            positions[partition] = message.offset()
        elif not error.retriable():
            raise KafkaException(error)
    for partition, position in positions.items():
        stores[partition].write(changes.get(partition, {}), position)
    return positions, ended, applied


def _follow(
    consumer: Any,
    topic: str,
    stores: Mapping[int, PartitionStore],
    starts: Mapping[int, int],
    total: int,
    on_progress: Callable[[int, int], None],
) -> int:
    by_partition = {(topic, number): store for number, store in stores.items()}
    pending = {(topic, number) for number in starts}
    done: dict[tuple[str, int], int] = {}
    applied = 0
    # A restore that stops before its first record must be seen, too.
    on_progress(0, total)
    while pending:
        positions, ended, count = apply(consumer.consume(BATCH, 0.2), by_partition)
        applied += count
        failpoints.reach("restore.applied")
        pending -= ended
        for partition, position in positions.items():
            done[partition] = position - starts[partition[1]]
        if positions:
            on_progress(min(total, sum(done.values())), total)
    on_progress(total, total)
    return applied
