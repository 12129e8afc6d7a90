"""Reads topics from a given time up to their current end, for commands that inspect past records. Nothing is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.runtime.kafka.client_config import consumer_config

#: Seconds that one request to the broker may take.
READ_TIMEOUT_S = 30.0
#: The number of messages of one read.
BATCH = 5_000


def read_to_the_end(
    kafka: Mapping[str, str],
    topics: Iterable[str],
    *,
    group_id: str,
    partition: int | None = None,
    since_ms: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Any]:
    """Yield the committed records up to the current ends, each partition's in the order of their offsets.

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
    settings = {"auto.offset.reset": "error", "enable.partition.eof": True}
    consumer = Consumer(consumer_config(kafka, group_id, settings))
    try:
        yield from _read(consumer, list(topics), partition, since_ms, on_progress)
    finally:
        consumer.close()


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
    begin: dict[tuple[str, int], int] = {}
    total = 0
    for tp in partitions:
        low, high = consumer.get_watermark_offsets(tp, timeout=READ_TIMEOUT_S)
        if since_ms is not None:
            (first,) = consumer.offsets_for_times([TopicPartition(tp.topic, tp.partition, since_ms)], READ_TIMEOUT_S)
            low = first.offset if first.offset >= 0 else high
        if low < high:
            begin[tp.topic, tp.partition] = low
            total += high - low
    if not begin:
        return
    consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in begin.items()])
    done = dict.fromkeys(begin, 0)
    left = set(begin)
    while left:
        messages = consumer.consume(BATCH, READ_TIMEOUT_S)
        if not messages:
            raise TimeoutError(
                f"no answer from the broker within {READ_TIMEOUT_S:.0f} s while reading {', '.join(topics)}"
            )
        for message in messages:
            key = message.topic(), message.partition()
            error = message.error()
            # Commit markers take offsets too, so only the broker knows where a partition ends.
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                left.discard(key)
            elif error is not None:
                raise KafkaException(error)
            elif key in left:
                done[key] = message.offset() + 1 - begin[key]
                yield message
        on_progress(sum(done.values()), total)
