"""Reading the dead letters and sending them back to where they came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from confluent_kafka import KafkaException, Producer
from msgspec import Struct

from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.topic_reader import READ_TIMEOUT_S, read_to_the_end
from streams.settings import Settings
from streams.wire import topics
from streams.wire.codec import open_codec

MEGABYTE = 1 << 20


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A record that a stage gave up, whole. `failed_at` is UTC. `key` and `value` are as they were read, so they may hold personal data."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    reason: str
    detail: str
    stage: str
    failed_at: datetime

    @property
    def id(self) -> str:
        """`topic/partition/offset` of the record."""
        return f"{self.topic}/{self.partition}/{self.offset}"


def read(settings: Settings) -> Iterator[DeadLetter]:
    """All dead letters that are there now, oldest first within each partition.

    Raises:
        KafkaException: the cluster cannot be reached or refuses; or the topic is not there.
    """
    codec = open_codec(settings.schema_registry_url, schemas=settings.schemas_dir)
    for message in read_to_the_end(settings.kafka(), [topics.DEAD_LETTERS], group_id=settings.reader_group_id):
        yield decode(codec, message.value())


def decode(codec: Codec, value: bytes) -> DeadLetter:
    """A record of the dead-letters topic.

    Raises:
        DecodeFailed: it is none.
    """
    record = codec.decode("dead_letter", value)
    headers = tuple((header["name"], header["value"]) for header in record.pop("headers"))
    return DeadLetter(headers=headers, **record)


def select(
    letters: Iterable[DeadLetter], *, ids: Iterable[str] = (), reason: str | None = None, topic: str | None = None
) -> Iterator[DeadLetter]:
    """Those of `letters` that have one of `ids` (none given: any), the reason and the source topic."""
    wanted = frozenset(ids)
    for letter in letters:
        if wanted and letter.id not in wanted:
            continue
        if (reason is None or letter.reason == reason) and (topic is None or letter.topic == topic):
            yield letter


def replay(settings: Settings, letters: Iterable[DeadLetter], *, producer: Any = None) -> int:
    """Publish each letter's record again on its source topic, byte for byte; return how many were acknowledged.

    The partition follows from the key (murmur2), so a record that lay on the wrong one comes to the right one. The letters stay on their
    topic; a record that is published twice changes nothing twice.

    Args:
        settings: the cluster.
        letters: what to publish.
        producer: a producer to use instead of making one.

    Raises:
        KafkaException: a record was not accepted; those before it may have been.
    """
    producer = producer or Producer(
        {
            **settings.kafka(),
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "message.max.bytes": 2 * MEGABYTE,
        }
    )
    failed: list[Any] = []
    done = 0

    def acknowledged(error: Any, message: Any) -> None:
        nonlocal done
        if error is not None:
            failed.append(error)
        else:
            done += 1

    for letter in letters:
        _publish(producer, letter, acknowledged)
    left = producer.flush(READ_TIMEOUT_S)
    if failed:
        raise KafkaException(failed[0])
    if left:
        raise TimeoutError(
            f"{left} records were not acknowledged within {READ_TIMEOUT_S:.0f} s; replay again, doubles are harmless"
        )
    return done


def _publish(producer: Any, letter: DeadLetter, acknowledged: Callable[[Any, Any], None]) -> None:
    while True:
        try:
            producer.produce(
                letter.topic, letter.value, letter.key, headers=list(letter.headers), on_delivery=acknowledged
            )
        except BufferError:  # the producer's queue is full: let it send
            producer.poll(1.0)
        else:
            producer.poll(0)
            return
