"""Restoring stores from their changelogs: committed records go from librdkafka straight into RocksDB write batches.

A store is restored when the consumer's *position* has reached the end of the changelog. The last record need not have the last offset,
because commit markers take offsets too. A store that cannot be a prefix of its changelog is wiped and rebuilt.

The end is the one after open transactions. A restore that stopped at the last stable offset would lose every commit behind a transaction
that hangs (KAFKA-10167), so it waits for a moment and then refuses.
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
from streams.runtime.kafka.cluster import Cluster
from streams.runtime.kafka.retry import retry
from streams.runtime.state.offsets import META, offsets_of
from streams.runtime.state.store import PartitionStore

#: The number of messages of one read. Larger batches do not save time and only delay the progress report.
BATCH = 20_000
#: Seconds that a read may wait for so many. The end of a changelog is seen only after them.
READ_WAIT_S = 0.05
#: Milliseconds after which a store without writes is rebuilt. Kafka deletes tombstones after `delete.retention.ms` (one day by default), and
#: a store that has missed them would restore deleted keys. This leaves a margin of two hours.
OFFLINE_LIMIT_MS = 22 * 3_600_000
#: Seconds that one request for a partition's offsets may take.
OFFSETS_TIMEOUT_S = 30.0
#: Seconds without a record before the end, after which an open transaction is said to hang. The transactions of earlier owners have ended:
#: `init_transactions` has waited for that.
HANG_S = 5.0
#: The key in the store of the identity of its changelog.
IDENTITY = b"changelog"


def restore(
    kafka: Mapping[str, Any],
    topic: str,
    stores: Mapping[int, PartitionStore],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    cluster: Cluster | None = None,
    identity: bytes = b"",
    is_accepted: bool = False,
) -> int:
    """Apply the records of `topic` beyond each store's position, and return their number.

    Args:
        kafka: librdkafka settings of the cluster.
        topic: the changelog topic.
        stores: partition number -> open store.
        on_progress: called with the number of offsets restored and in total.
        cluster: requests to the same cluster; None opens a client for this call.
        identity, is_accepted: as in `start_of`.

    Raises:
        StoreError: a store is not of this changelog, or ahead of it, or a transaction on it hangs. State would be lost silently.
        KafkaException: the broker cannot be read.
    """
    if not stores:
        return 0
    bounds = (cluster or Cluster(kafka)).bounds([(topic, number) for number in stores])
    starts, ends = {}, {}
    for number, store in stores.items():
        low, ends[number] = bounds[topic, number]
        starts[number] = start_of(topic, number, store, low, ends[number], identity, is_accepted)
    total = sum(ends[n] - starts[n] for n in stores)
    if total == 0:
        return 0
    behind = {number: start for number, start in starts.items() if start < ends[number]}
    consumer = changelog_reader(kafka, f"restore-{topic}")
    try:
        consumer.assign([TopicPartition(topic, number, start) for number, start in behind.items()])
        return _follow(consumer, topic, stores, behind, ends, total, on_progress)
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


def start_of(
    topic: str,
    number: int,
    store: PartitionStore,
    low: int,
    high: int,
    identity: bytes = b"",
    is_accepted: bool = False,
) -> int:
    """Return the offset from which `store` must read its changelog. Wipe the store if its content can no longer be used.

    Args:
        topic: the changelog topic.
        number: the partition number.
        store: the open store.
        low, high: the changelog's first offset, and the offset after its last.
        identity: the ids of the changelog and its cluster; empty if they are unknown. A store without one adopts it.
        is_accepted: whether an operator has said that this changelog is the right one: a store that does not fit is wiped.

    Raises:
        StoreError: the store is of another changelog, or ahead of this one.
        StateError: the store cannot be read or written.
    """
    problem = _mismatch(topic, number, store, high, identity)
    if problem and not is_accepted:
        raise StoreError(problem)
    position = store.position
    idle_ms = int(time.time() * 1000) - store.written_at_ms
    if problem or (position and (position < low or (position < high and idle_ms > OFFLINE_LIMIT_MS))):
        store.wipe()
        position = 0
    if identity and store.meta(IDENTITY) != identity:
        store.write({}, None, {IDENTITY: identity})
    return max(position, low)


def _mismatch(topic: str, number: int, store: PartitionStore, high: int, identity: bytes) -> str:
    """Return why `store` cannot be a prefix of its changelog, and what to do; empty if it can."""
    position, known = store.position, store.meta(IDENTITY)
    if position and identity and known and known != identity:
        cluster, known_cluster = identity.split()[0], known.split()[0]
        cause = (
            "deleted and recreated"
            if cluster == known_cluster
            else "copied from another cluster, or this is the wrong cluster"
        )
        reason = f"{store.path} belongs to another changelog than {topic}[{number}]: the topic was {cause}. Check KAFKA_BOOTSTRAP_SERVERS."
    elif position > high:
        reason = (
            f"{store.path} is ahead of its changelog {topic}[{number}] (position {position}, end {high}): the topic was deleted, recreated "
            "or truncated. The directory holds state that the topic lacks."
        )
    else:
        return ""
    return (
        f"{reason} Restore the topic. If the topic holds the right state, start each process once with --accept-changelog: it "
        "discards the directory and restores the state from the topic. To start over with empty state, use another TAKK_APP_ID."
    )


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
    newest: dict[tuple[str, int], Any] = {}
    positions: dict[tuple[str, int], int] = {}
    ended: set[tuple[str, int]] = set()
    applied = 0
    for message in messages:
        error = message.error()
        partition = message.topic(), message.partition()
        if error is None:
            changes.setdefault(partition, {})[message.key()] = message.value()
            positions[partition] = message.offset() + 1
            newest[partition] = message
            applied += 1
        elif error.code() == KafkaError._PARTITION_EOF:
            ended.add(partition)
            positions[partition] = message.offset()
        elif not error.retriable():
            raise KafkaException(error)
    for partition, position in positions.items():
        # Only the last record of a commit has the offsets. The last record before the end of the changelog is one.
        offsets = offsets_of(newest[partition]) if partition in newest else None
        meta = None if offsets is None else {META: offsets}
        stores[partition].write(changes.get(partition, {}), position, meta)
    return positions, ended, applied


def _follow(
    consumer: Any,
    topic: str,
    stores: Mapping[int, PartitionStore],
    starts: Mapping[int, int],
    ends: Mapping[int, int],
    total: int,
    on_progress: Callable[[int, int], None],
) -> int:
    by_partition = {(topic, number): store for number, store in stores.items()}
    pending = {(topic, number) for number in starts}
    done: dict[tuple[str, int], int] = {}
    #: The partitions whose last stable offset is before their end, and since when.
    stuck: dict[tuple[str, int], float] = {}
    applied = 0
    # A restore that stops before its first record must be seen, too.
    on_progress(0, total)
    while pending:
        positions, ended, count = apply(consumer.consume(BATCH, READ_WAIT_S), by_partition)
        applied += count
        failpoints.reach("restore.applied")
        now = time.monotonic()
        for partition, position in positions.items():
            done[partition] = position - starts[partition[1]]
            stuck.pop(partition, None)
            if partition in ended and position >= ends[partition[1]]:
                pending.discard(partition)
            elif partition in ended:
                stuck[partition] = now
        for (_, number), since in stuck.items():
            if now - since > HANG_S:
                raise StoreError(_hangs(topic, number, starts[number] + done[topic, number], ends[number]))
        if positions:
            on_progress(min(total, sum(done.values())), total)
    on_progress(total, total)
    return applied


def _hangs(topic: str, number: int, position: int, end: int) -> str:
    """Return why a restore cannot reach the end of a changelog, and what to do."""
    return (
        f"a transaction hangs on the changelog {topic}[{number}]: it is open from offset {position} on, and the changelog ends at {end}. The "
        "state behind it would be lost. Find its producer id with `kafka-transactions.sh describe-producers "
        f"--topic {topic} --partition {number}` (the one with a CurrentTransactionStartOffset), or for all topics of a broker with "
        f"`find-hanging --broker-id ID`. End it with `kafka-transactions.sh abort --topic {topic} --partition {number} --start-offset OFFSET`, "
        "then start the process again."
    )
