"""Reads what is known of one customer from the cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.topic_reader import partitions_of, read_to_the_end
from streams.settings import Settings
from streams.tools.operations.customer_states import read_customer
from streams.tools.operations.customer_story import ENTRY_OF, Timeline, build_timeline
from streams.tools.operations.dead_letters import decode as decode_letter
from streams.tools.operations.dead_letters import is_of, record_of
from streams.wire import topics
from streams.wire.codec import codec_of

#: Topic and encoded record.
Raw = tuple[str, bytes]


def read_timeline(
    settings: Settings,
    customer_id: str,
    *,
    days: float = 30.0,
    send_id: str | None = None,
    limit: int | None = None,
    now: datetime | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Timeline:
    """Return the timeline of a customer.

    Decisions, email events and engagement are read from the customer's partition. Dead letters are read from all partitions, since the
    record may have had a wrong key.

    Args:
        settings: the connection to the cluster.
        customer_id: the customer.
        days: how many days to read back from `now`.
        send_id: restricts the timeline to this send.
        limit: keep only as many of the newest entries; None keeps all.
        now: the present, UTC; the clock's time if None.
        on_progress: called with the offsets read so far and in total, for one read after the other.

    Raises:
        KafkaException: the cluster is not reachable, or a topic is missing.
        TimeoutError: the broker does not answer.
    """
    codec = codec_of(settings)
    key = customer_id.encode()
    since_ms = int(((now or datetime.now(UTC)) - timedelta(days=days)).timestamp() * 1000)
    partition = partition_of(key, partitions_of(settings.kafka(), topics.DECISIONS, group_id=settings.reader_group_id))

    def read(names: Iterable[str], partition: int | None = None) -> Iterator[Any]:
        return read_to_the_end(
            settings.kafka(),
            names,
            group_id=settings.reader_group_id,
            partition=partition,
            since_ms=since_ms,
            on_progress=on_progress,
        )

    newest = Newest(None if send_id else limit)
    for message in read(ENTRY_OF, partition):
        if message.key() == key:
            newest.add(message.topic(), message.value())
    for message in read([topics.DEAD_LETTERS]):
        if is_of(codec, message, customer_id):
            newest.add(topics.DEAD_LETTERS, message.value())
    raw: Iterable[Raw] = [record for record in newest if record[0] in ENTRY_OF]
    letters = [decode_letter(codec, value) for topic, value in newest if topic == topics.DEAD_LETTERS]
    if send_id:
        raw = of_send(codec, raw, send_id)
        letters = [letter for letter in letters if record_of(codec, letter).get("send_id") == send_id]
    timeline = build_timeline(
        customer_id,
        ((topic, decode(codec, topic, value)) for topic, value in raw),
        read_customer(settings, customer_id, partition, on_progress),
        send_id,
        letters=letters,
        limit=limit,
    )
    return replace(timeline, omitted=timeline.omitted + newest.dropped)


class Newest:
    """The newest records of each topic, still encoded: of a customer with 100,000 decisions, few are decoded.

    Iteration yields topics and records, each topic's in the order in which they were added.

    Args:
        limit: the number of records to keep per topic; None keeps all.

    Attributes:
        dropped: the number of records that were not kept.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._kept: dict[str, deque[bytes]] = {}
        self.dropped = 0

    def add(self, topic: str, value: bytes) -> None:
        """Keep a record, in place of the oldest one if there are too many."""
        kept = self._kept.setdefault(topic, deque(maxlen=self._limit))
        self.dropped += len(kept) == self._limit
        kept.append(value)

    def __iter__(self) -> Iterator[Raw]:
        return ((topic, value) for topic, values in self._kept.items() for value in values)


def of_send(codec: Codec, records: Iterable[Raw], send_id: str) -> list[Raw]:
    """Return the records that may be about a send or about its flow instance. Only records that contain the send id are decoded.

    Args:
        codec: decodes the records.
        records: the records of one customer.
        send_id: the send.
    """
    records, of_send = list(records), send_id.encode()
    named = [decode(codec, *record) for record in records if of_send in record[1]]
    ids = {str(record["instance_id"]).encode() for record in named if record.get("instance_id")} | {of_send}
    return [record for record in records if any(part in record[1] for part in ids)]


def decode(codec: Codec, topic: str, value: bytes) -> Mapping[str, Any]:
    """Return a record of a topic."""
    return codec.decode(topics.SCHEMA_OF[topic], value)
