"""Bring stores up to their changelogs: librdkafka straight into RocksDB write batches, committed records only.

"Up to" means that the consumer's *position* has reached the end: commit markers take offsets too, so the last record
need not have the last offset. Wiping comes before trusting: a store that cannot be a prefix of its changelog is rebuilt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.runtime.store import PartitionStore, StoreError

#: Records taken from librdkafka at once; larger batches no longer pay and only delay the progress line.
BATCH = 20_000
#: Milliseconds after which a store left alone is rebuilt: Kafka forgets tombstones after `delete.retention.ms` (a day by
#: default), and a store that has missed them would bring deleted keys back. Two hours of margin.
OFFLINE_LIMIT_MS = 22 * 3_600_000


def restore(
    kafka: Mapping[str, Any],
    topic: str,
    stores: Mapping[int, PartitionStore],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Apply to each partition's store what `topic` has beyond its position; return the number of records applied.

    Args:
        kafka: librdkafka settings of the cluster.
        topic: the changelog; its partition numbers are those of `stores`.
        stores: partition number to open store.
        progress: called with offsets done and offsets in all.

    Raises:
        StoreError: a store is ahead of its changelog: the topic was deleted or made anew, and state would silently be lost.
        KafkaException: the broker could not be read.
    """
    if not stores:
        return 0
    consumer = Consumer(
        {
            **kafka,
            "group.id": f"restore-{topic}",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "queued.min.messages": 100_000,
            "fetch.message.max.bytes": 8 << 20,
        }
    )
    try:
        starts, ends = {}, {}
        for number, store in stores.items():
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30.0)
            starts[number], ends[number] = _start(topic, number, store, low, high), high
        total = sum(ends[n] - starts[n] for n in stores)
        if total == 0:
            return 0
        consumer.assign([TopicPartition(topic, n, starts[n]) for n in stores if starts[n] < ends[n]])
        return _follow(consumer, stores, {n for n in stores if starts[n] < ends[n]}, total, progress)
    finally:
        consumer.close()


def _start(topic: str, number: int, store: PartitionStore, low: int, high: int) -> int:
    position = store.position
    if position > high:
        raise StoreError(
            f"{store.path} is ahead of its changelog {topic}[{number}] (position {position}, end {high}): the topic was deleted "
            "or made anew. Bring the topic back, or delete the folder if its state may be forgotten."
        )
    idle_ms = int(time.time() * 1000) - store.written_at_ms
    if position and (position < low or (position < high and idle_ms > OFFLINE_LIMIT_MS)):
        store.wipe()
        position = 0
    return max(position, low)


def _follow(
    consumer: Any,
    stores: Mapping[int, PartitionStore],
    pending: set[int],
    total: int,
    progress: Callable[[int, int], None],
) -> int:
    applied = 0
    first: dict[int, int] = {}
    done: dict[int, int] = {}
    while pending:
        changes: dict[int, dict[bytes, bytes | None]] = {}
        positions: dict[int, int] = {}
        for message in consumer.consume(BATCH, 0.2):
            error = message.error()
            number = message.partition()
            if error is None:
                changes.setdefault(number, {})[message.key()] = message.value()
                positions[number] = message.offset() + 1
                first.setdefault(number, message.offset())
                applied += 1
            elif error.code() == KafkaError._PARTITION_EOF:
                pending.discard(number)
                positions[number] = message.offset()
            elif not error.retriable():
                raise KafkaException(error)
        for number, position in positions.items():
            stores[number].write(changes.get(number, {}), position)
            done[number] = position - first.get(number, position)
        if positions:
            progress(sum(done.values()), total)
    progress(total, total)
    return applied
