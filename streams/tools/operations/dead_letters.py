"""Dead letters: reads, selects and replays them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaException, Producer
from msgspec import Struct

from streams.core.values.text import counted
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.kafka.limits import MAX_RECORD_BYTES
from streams.runtime.kafka.topic_reader import READ_TIMEOUT_S, read_to_the_end
from streams.settings import Settings
from streams.wire import topics
from streams.wire.codec import codec_of

#: The reasons of records that cannot be decoded. Their key is all that is known of them.
UNDECODABLE = frozenset({"not_avro", "unknown_schema", "truncated"})


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A record that a stage could not process; `failed_at` is in UTC.

    `key` and `value` are unchanged, so they may contain personal data. If `key_bytes` or `value_bytes` is set, only their first bytes are
    known, and that is the number of all.
    """

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
    key_bytes: int | None = None
    value_bytes: int | None = None
    value_sha256: str | None = None
    has_all_headers: bool = True

    @property
    def obstacle(self) -> str | None:
        """The reason why the record cannot be replayed, or None if it can. A record is processed without its headers."""
        if self.topic not in topics.STAGE_INPUTS:
            return f"no stage reads the topic {self.topic!r}"
        for name, kept, size in (("value", self.value, self.value_bytes), ("key", self.key, self.key_bytes)):
            if size is not None:
                known = f"only {len(kept or b''):,} of {size:,} bytes of its {name}" if size >= 0 else f"no {name}"
                place = f"offset {self.offset} of {self.topic}[{self.partition}]"
                return f"the dead letter has {known}. The record is at {place} until it expires there"
        return None

    @property
    def id(self) -> str:
        """The position of the record: `topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class NotReplayable(ValueError):
    """A dead letter that must not be replayed. The message says why."""


def read(settings: Settings, since: datetime | None = None) -> Iterator[DeadLetter]:
    """Yield the present dead letters, the oldest first within each partition.

    Args:
        settings: the connection to the cluster.
        since: only letters that were written at this time or later, UTC; None for all.

    Raises:
        KafkaException: the cluster is not reachable, or the topic is missing.
    """
    codec = codec_of(settings)
    for message in read_to_the_end(
        settings.kafka(),
        [topics.DEAD_LETTERS],
        group_id=settings.reader_group_id,
        since_ms=None if since is None else int(since.timestamp() * 1000),
    ):
        yield decode(codec, message.value())


class Group(Struct, kw_only=True):
    """The dead letters of one topic, partition, stage and reason.

    Attributes:
        count: the number of letters.
        keys: the number of different keys, which for most topics are customers.
        first, last: the times of the oldest and the newest letter, UTC.
    """

    topic: str
    partition: int
    stage: str
    reason: str
    count: int
    keys: int
    first: datetime
    last: datetime

    def __str__(self) -> str:
        what = f"{counted(self.count, 'letter')} of {counted(self.keys, 'key')}"
        first, last = (f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" for at in (self.first, self.last))
        return f"{self.topic}/{self.partition}  {self.stage}  {self.reason}  {what}  {first} to {last}"


def count(letters: Iterable[DeadLetter]) -> list[Group]:
    """Return the groups of letters, the largest first."""
    groups: dict[tuple[str, int, str, str], tuple[Group, set[bytes | None]]] = {}
    for letter in letters:
        of, at = (letter.topic, letter.partition, letter.stage, letter.reason), letter.failed_at
        if of not in groups:
            topic, partition, stage, reason = of
            new = Group(
                topic=topic, partition=partition, stage=stage, reason=reason, count=0, keys=0, first=at, last=at
            )
            groups[of] = new, set()
        group, keys = groups[of]
        keys.add(letter.key)
        group.count, group.keys = group.count + 1, len(keys)
        group.first, group.last = min(group.first, at), max(group.last, at)
    return sorted((group for group, _ in groups.values()), key=lambda group: -group.count)


def is_of(codec: Codec, message: Any, customer_id: str) -> bool:
    """Return whether a record of the topic is a letter of a customer: by its key, or because its record names the customer.

    Args:
        codec: decodes the letter and its record.
        message: a record of the topic.
        customer_id: the customer.
    """
    key, value = customer_id.encode(), message.value() or b""
    if message.key() == key:
        return True
    # A letter contains the bytes of its record, so few letters of others must be decoded.
    return key in value and record_of(codec, decode(codec, value)).get("customer_id") == customer_id


def record_of(codec: Codec, letter: DeadLetter) -> Mapping[str, Any]:
    """Return the record of a letter, or an empty one if it cannot be decoded."""
    if letter.value is None or letter.topic not in topics.SCHEMA_OF:
        return {}
    try:
        return codec.decode(topics.SCHEMA_OF[letter.topic], letter.value)
    except DecodeFailed:
        return {}


def decode(codec: Codec, value: bytes) -> DeadLetter:
    """Return the dead letter that a record of the topic contains.

    Raises:
        DecodeFailed: the record is not a dead letter.
    """
    record = codec.decode("dead_letter", value)
    headers = tuple((header["name"], header["value"]) for header in record.pop("headers"))
    return DeadLetter(headers=headers, **record)


def select(
    letters: Iterable[DeadLetter], *, ids: Iterable[str] = (), reason: str | None = None, topic: str | None = None
) -> Iterator[DeadLetter]:
    """Yield the letters that have one of `ids` (all letters if it is empty), the reason and the source topic."""
    selected = frozenset(ids)
    for letter in letters:
        if selected and letter.id not in selected:
            continue
        if (reason is None or letter.reason == reason) and (topic is None or letter.topic == topic):
            yield letter


def of_erased(codec: Codec, letter: DeadLetter, erased_at: Mapping[str, datetime]) -> bool:
    """Return whether the customer of a letter was erased after it was written: its record would bring back what was erased.

    Args:
        codec: decodes the record of the letter.
        letter: the letter.
        erased_at: when customers were erased, UTC.
    """
    names = {(letter.key or b"").decode("utf-8", "replace"), record_of(codec, letter).get("customer_id")}
    return any(name in erased_at and letter.failed_at <= erased_at[name] for name in names if name)


def check_replayable(letters: Iterable[DeadLetter]) -> None:
    """Check that no letter has an `obstacle`.

    Otherwise a program that may write dead letters could have records published anywhere, with the rights of the operator.

    Raises:
        NotReplayable: one has.
    """
    for letter in letters:
        if obstacle := letter.obstacle:
            raise NotReplayable(f"cannot replay {letter.id}: {obstacle}. Nothing was published.")


def replay_producer(settings: Settings) -> Producer:
    """Return a producer that accepts every record that Takk's topics do."""
    return Producer(
        {
            **settings.kafka(),
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "message.max.bytes": MAX_RECORD_BYTES,
        }
    )


def replay(settings: Settings, letters: Iterable[DeadLetter], *, producer: Any = None) -> int:
    """Publish the record of each letter unchanged on its source topic, and return the number of acknowledged records.

    The key selects the partition (murmur2), so a record that was on a wrong partition is written to the right one. The letters stay on
    their topic. A record that is published twice is processed once.

    Args:
        settings: the connection to the cluster.
        letters: the letters to replay, without an `obstacle`.
        producer: the producer to use; None creates one.

    Raises:
        NotReplayable: a letter has an `obstacle`. Nothing was published.
        KafkaException: a record was not accepted; earlier ones may have been.
        TimeoutError: the cluster did not acknowledge all records in time.
    """
    letters = list(letters)
    check_replayable(letters)
    producer = producer or replay_producer(settings)
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
            f"{left} records were not acknowledged within {READ_TIMEOUT_S:.0f} s. Replay them again: a record is processed once"
        )
    return done


def _publish(producer: Any, letter: DeadLetter, acknowledged: Callable[[Any, Any], None]) -> None:
    while True:
        try:
            producer.produce(
                letter.topic, letter.value, letter.key, headers=list(letter.headers), on_delivery=acknowledged
            )
        except BufferError:  # the producer's queue is full
            producer.poll(1.0)
        else:
            producer.poll(0)
            return
