"""Bring stores up to their changelogs: librdkafka straight into RocksDB write batches, committed records only.

"Up to" means that the consumer's *position* has reached the end: commit markers take offsets too, so the last record
need not have the last offset. Wiping comes before trusting: a store that cannot be a prefix of its changelog is rebuilt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.runtime import failpoints
from streams.runtime.errors import StoreError
from streams.runtime.kafka.retry import ask
from streams.runtime.state.store import PartitionStore

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
    consumer = changelog_reader(kafka, f"restore-{topic}")
    try:
        starts, ends = {}, {}
        for number, store in stores.items():
            low, high = ends_of(consumer, topic, number)
            starts[number], ends[number] = start_of(topic, number, store, low, high), high
        total = sum(ends[n] - starts[n] for n in stores)
        if total == 0:
            return 0
        behind = {number: start for number, start in starts.items() if start < ends[number]}
        consumer.assign([TopicPartition(topic, number, start) for number, start in behind.items()])
        return _follow(consumer, topic, stores, behind, total, progress)
    finally:
        consumer.close()


def changelog_reader(kafka: Mapping[str, Any], group: str) -> Any:
    """A consumer of committed changelog records, that is told where to begin and says where a partition ends."""
    return Consumer(
        {
            **kafka,
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "queued.min.messages": 100_000,
            "fetch.message.max.bytes": 8 << 20,
        }
    )


def ends_of(consumer: Any, topic: str, number: int) -> tuple[int, int]:
    """The offsets at which a partition begins and ends at this moment; an election is waited for.

    Raises:
        KafkaException: the cluster could not be asked.
    """
    low, high = ask(partial(consumer.get_watermark_offsets, TopicPartition(topic, number), timeout=30.0))
    return low, high


def start_of(topic: str, number: int, store: PartitionStore, low: int, high: int) -> int:
    """The offset from which `store` has to read its changelog, whose records lie from `low` to `high`; wipes a store it cannot go on with.

    Raises:
        StoreError: the store is ahead of its changelog.
    """
    position = store.position
    if position > high:
        raise StoreError(
            f"{store.path} is ahead of its changelog {topic}[{number}] (position {position}, end {high}): the topic was deleted "
            "or made anew. Bring the topic back. To go on with the state it still holds, delete the folder; to begin again without any "
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
    """Write changelog records to the stores of their partitions, one batch a store.

    Args:
        messages: records and end-of-partition notices, in the order of their offsets within each partition.
        stores: changelog topic and partition number to open store.

    Returns:
        The new position of each partition that moved, the partitions whose end was reached, and the number of records.

    Raises:
        KafkaException: a message is an error that will not pass by itself.
    """
    changes: dict[tuple[str, int], dict[bytes, bytes | None]] = {}
    positions: dict[tuple[str, int], int] = {}
    ended: set[tuple[str, int]] = set()
    applied = 0
    for message in messages:
        error = message.error()
        place = message.topic(), message.partition()
        if error is None:
            changes.setdefault(place, {})[message.key()] = message.value()
            positions[place] = message.offset() + 1
            applied += 1
        elif error.code() == KafkaError._PARTITION_EOF:
            ended.add(place)
            positions[place] = message.offset()
        elif not error.retriable():
            raise KafkaException(error)
    for place, position in positions.items():
        stores[place].write(changes.get(place, {}), position)
    return positions, ended, applied


def _follow(
    consumer: Any,
    topic: str,
    stores: Mapping[int, PartitionStore],
    starts: Mapping[int, int],
    total: int,
    progress: Callable[[int, int], None],
) -> int:
    by_place = {(topic, number): store for number, store in stores.items()}
    pending = {(topic, number) for number in starts}
    done: dict[tuple[str, int], int] = {}
    applied = 0
    while pending:
        positions, ended, count = apply(consumer.consume(BATCH, 0.2), by_place)
        applied += count
        failpoints.reach("restore.applied")
        pending -= ended
        for place, position in positions.items():
            done[place] = position - starts[place[1]]
        if positions:
            progress(min(total, sum(done.values())), total)
    progress(total, total)
    return applied
