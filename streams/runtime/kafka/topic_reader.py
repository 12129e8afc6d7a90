"""Reads topics up to their present end, for commands that inspect past records. Nothing is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.runtime.kafka.client_config import consumer_config

#: Seconds that one request to the broker may take.
READ_TIMEOUT_S = 30.0
#: The number of messages of one read.
BATCH = 5_000
#: The number of offsets in the first range of `read_newest`. At 64 kB per record, the largest state of a customer, this is 64 MB.
FIRST_RANGE = 1_000


def read_to_the_end(
    kafka: Mapping[str, str],
    topics: Iterable[str],
    *,
    group_id: str,
    partition: int | None = None,
    since_ms: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Any]:
    """Yield the committed records up to the present ends, each partition's in the order of their offsets.

    Records that are written meanwhile are not read.

    Args:
        kafka: librdkafka settings of the cluster.
        topics: the topics to read.
        group_id: the consumer group that the broker sees. No offsets are committed under it.
        partition: read only this partition of each topic; None reads all.
        since_ms: skip records with an earlier timestamp, in milliseconds since 1970.
        on_progress: called with the number of offsets read and in total.

    Raises:
        KafkaException: the cluster is not reachable, refuses the request, or a topic is missing.
        TimeoutError: the broker did not answer within `READ_TIMEOUT_S`.
    """
    consumer = _open(kafka, group_id)
    try:
        yield from _read(consumer, list(topics), partition, since_ms, on_progress)
    finally:
        consumer.close()


def read_newest(
    kafka: Mapping[str, str],
    topic: str,
    key: bytes,
    *,
    group_id: str,
    partition: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> bytes | None:
    """Return the value of the newest committed record with a key; None if it is missing or a tombstone.

    The topic is read backwards in growing ranges. A key that changes often, whose old records are the most to read, is found at once.

    Args:
        kafka: librdkafka settings of the cluster.
        topic: the topic.
        key: the key.
        group_id: the consumer group that the broker sees.
        partition: the partition of the key.
        on_progress: called with the number of offsets read and in total.

    Raises:
        KafkaException, TimeoutError: as `read_to_the_end`.
    """
    consumer = _open(kafka, group_id)
    try:
        _partition_numbers(consumer, topic)
        low, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=READ_TIMEOUT_S)
        total, length, newest = end - low, FIRST_RANGE, None
        while newest is None and low < end:
            start, read_before = max(low, end - length), total - (end - low)

            def report(done: int, of_range: int, read_before: int = read_before) -> None:
                on_progress(read_before + done, total)

            for message in _read_ranges(consumer, {(topic, partition): (start, end)}, report):
                if message.key() == key:
                    newest = message
            end, length = start, 2 * length
        return newest.value() if newest is not None else None
    finally:
        consumer.close()


def _open(kafka: Mapping[str, str], group_id: str) -> Any:
    return Consumer(consumer_config(kafka, group_id, {"auto.offset.reset": "error", "enable.partition.eof": True}))


def partitions_of(kafka: Mapping[str, str], topic: str, *, group_id: str) -> int:
    """Return the number of partitions of a topic.

    Raises:
        KafkaException: the cluster is not reachable, refuses the request, or the topic is missing.
    """
    consumer = Consumer(consumer_config(kafka, group_id))
    try:
        return len(_partition_numbers(consumer, topic))
    finally:
        consumer.close()


def _partition_numbers(consumer: Any, topic: str) -> list[int]:
    metadata = consumer.list_topics(topic, timeout=READ_TIMEOUT_S).topics[topic]
    if metadata.error is not None:
        reason = f"{topic}: {metadata.error.str()}"
        if metadata.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            reason = (
                f"unknown topic {topic}: run `takk topics create`; a worker creates its changelogs at its first start"
            )
        raise KafkaException(KafkaError(metadata.error.code(), reason))
    return list(metadata.partitions)


def _read(
    consumer: Any,
    topics: list[str],
    partition: int | None,
    since_ms: int | None,
    on_progress: Callable[[int, int], None],
) -> Iterator[Any]:
    partitions = [
        TopicPartition(topic, number)
        for topic in topics
        for number in _partition_numbers(consumer, topic)
        if partition in (None, number)
    ]
    ranges: dict[tuple[str, int], tuple[int, int]] = {}
    for tp in partitions:
        low, high = consumer.get_watermark_offsets(tp, timeout=READ_TIMEOUT_S)
        if since_ms is not None:
            (first,) = consumer.offsets_for_times([TopicPartition(tp.topic, tp.partition, since_ms)], READ_TIMEOUT_S)
            low = first.offset if first.offset >= 0 else high
        ranges[tp.topic, tp.partition] = low, high
    yield from _read_ranges(consumer, ranges, on_progress)


def _read_ranges(
    consumer: Any, ranges: Mapping[tuple[str, int], tuple[int, int]], on_progress: Callable[[int, int], None]
) -> Iterator[Any]:
    """Yield the committed records of each (topic, partition), from its first offset to before its end."""
    total = sum(high - low for low, high in ranges.values())
    done = dict.fromkeys(ranges, 0)
    left = {key for key, (low, high) in ranges.items() if low < high}
    consumer.assign([TopicPartition(topic, number, ranges[topic, number][0]) for topic, number in left])
    while left:
        messages = consumer.consume(BATCH, READ_TIMEOUT_S)
        if not messages:
            names = ", ".join(sorted({topic for topic, _ in ranges}))
            raise TimeoutError(f"no answer from the broker within {READ_TIMEOUT_S:.0f} s while reading {names}")
        for message in messages:
            key, error = (message.topic(), message.partition()), message.error()
            is_end = error is not None and error.code() == KafkaError._PARTITION_EOF
            if error is not None and not is_end:
                raise KafkaException(error)
            if key not in left:
                continue
            low, high = ranges[key]
            # The offsets before an end may be commit markers, which are not delivered. Then a later record or the end of the partition
            # shows that the range is read.
            if is_end or message.offset() >= high:
                done[key] = high - low
            else:
                done[key] = message.offset() + 1 - low
                yield message
            if done[key] == high - low:
                left.discard(key)
        on_progress(sum(done.values()), total)
