"""Reads topics from some time up to their present end, leaving no trace: for the commands that look at what has happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

#: Seconds that the broker may be silent.
PATIENCE_S = 30.0
_BATCH = 5_000


def read_to_the_end(
    kafka: Mapping[str, str],
    topics: Iterable[str],
    *,
    group_id: str,
    partition: int | None = None,
    since_ms: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Any]:
    """The committed records that are there now, in the order of their offsets within each partition.

    Args:
        kafka: the cluster, as librdkafka's configuration.
        topics: the topics to read.
        group_id: the consumer group the broker sees; nothing is ever committed under it.
        partition: one partition of each; None: all.
        since_ms: only records whose time is not before this (ms since 1970).
        on_progress: hears of offsets done and in all.

    Raises:
        KafkaException: the cluster cannot be reached or refuses, or a topic is not there.
        TimeoutError: the broker is silent.
    """
    consumer = Consumer(
        {
            **kafka,
            "group.id": group_id,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    try:
        yield from _read(consumer, list(topics), partition, since_ms, on_progress)
    finally:
        consumer.close()


def partitions_of(kafka: Mapping[str, str], topic: str, *, group_id: str) -> int:
    """How many partitions a topic has. Raises KafkaException: the cluster refuses, or the topic is not there."""
    consumer = Consumer({**kafka, "group.id": group_id})
    try:
        return len(_known(consumer, topic))
    finally:
        consumer.close()


def _known(consumer: Any, topic: str) -> list[int]:
    known = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic]
    if known.error is not None:
        why = f"{topic}: {known.error.str()}"
        if known.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            why = f"there is no topic {topic}: `takk topics create` makes Takk's own, and a worker its changelog when it first starts"
        raise KafkaException(KafkaError(known.error.code(), why))
    return list(known.partitions)


def _read(
    consumer: Any,
    topics: list[str],
    partition: int | None,
    since_ms: int | None,
    on_progress: Callable[[int, int], None],
) -> Iterator[Any]:
    places = [
        TopicPartition(topic, number)
        for topic in topics
        for number in _known(consumer, topic)
        if partition in (None, number)
    ]
    begin: dict[tuple[str, int], int] = {}
    total = 0
    for place in places:
        low, high = consumer.get_watermark_offsets(place, timeout=PATIENCE_S)
        if since_ms is not None:
            (found,) = consumer.offsets_for_times([TopicPartition(place.topic, place.partition, since_ms)], PATIENCE_S)
            low = found.offset if found.offset >= 0 else high
        if low < high:
            begin[place.topic, place.partition] = low
            total += high - low
    if not begin:
        return
    consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in begin.items()])
    done = dict.fromkeys(begin, 0)
    left = set(begin)
    while left:
        messages = consumer.consume(_BATCH, PATIENCE_S)
        if not messages:
            raise TimeoutError(f"no answer from the broker for {PATIENCE_S:.0f} s while reading {', '.join(topics)}")
        for message in messages:
            place = message.topic(), message.partition()
            error = message.error()
            # Commit markers take offsets, so only the broker can say that this is the end.
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                left.discard(place)
            elif error is not None:
                raise KafkaException(error)
            elif place in left:
                done[place] = message.offset() + 1 - begin[place]
                yield message
        on_progress(sum(done.values()), total)
