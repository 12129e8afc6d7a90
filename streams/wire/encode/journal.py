"""Encoding of dead letters, and of the journal of committed batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.encode.envelope import Envelope
from streams.wire.validation import Record

#: Characters of a dead letter's detail.
MAX_DETAIL = 1000
#: Bytes of key, value and headers up to which a dead letter contains its record unchanged. Each record within Kafka's default limit does;
#: together with the other fields it stays far below the limit of `dead-letters`, whatever was compressed in the record's topic.
MAX_WHOLE = 1 << 20
#: Bytes of key, value and headers that the dead letter of a larger record keeps. A longer header is left out with all others.
KEPT_KEY = 1 << 10
KEPT_VALUE = 64 << 10
KEPT_HEADERS = 64 << 10
#: The size in a dead letter of a key or value that could not be read.
UNKNOWN_BYTES = -1


class Slice(NamedTuple):
    """The records of one topic that a batch read: offsets from `first` to `last`, inclusive."""

    topic: str
    first: int
    last: int


class JournalEncoder:
    """Encodes dead letters and journal entries."""

    def __init__(self, codec: Codec, envelope: Envelope) -> None:
        self._codec = codec
        self._envelope = envelope

    def dead_letter(
        self,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        reason: str,
        detail: str,
        at: datetime,
        *,
        stage: str = "",
        headers: Sequence[tuple[str, bytes | None]] | None = (),
    ) -> ProducerRecord:
        """Encode an invalid record as a dead letter: unchanged, or cut if it has more than `MAX_WHOLE` bytes.

        Args:
            topic, partition, offset: the record's position.
            key, value, headers: the record; headers of None cannot be read.
            reason, detail: those of the `InvalidRecord`, or of the stage. `detail` is cut at `MAX_DETAIL` characters.
            at: the time of the failure, UTC.
            stage: the stage that read the record.
        """
        kept_key, kept_value, kept_headers = key, value, headers
        headers_size = sum(len(name.encode()) + len(content or b"") for name, content in headers or ())
        if len(key or b"") + len(value or b"") + headers_size > MAX_WHOLE:
            kept_key = key and key[:KEPT_KEY]
            kept_value = value and value[:KEPT_VALUE]
            kept_headers = headers if headers_size <= KEPT_HEADERS else None
        key_bytes = None if key is None or kept_key == key else len(key)
        is_value_cut = value is not None and kept_value != value
        return self._dead_letter(
            {
                "topic": topic,
                "partition": partition,
                "offset": offset,
                "key": kept_key,
                "value": kept_value,
                "headers": [{"name": name, "value": content} for name, content in kept_headers or ()],
                "reason": reason,
                "detail": detail,
                "stage": stage,
                "failed_at": at,
                "key_bytes": key_bytes,
                "value_bytes": len(value) if is_value_cut and value is not None else None,
                "value_sha256": sha256(value).hexdigest() if is_value_cut and value is not None else None,
                "has_all_headers": kept_headers is not None,
            }
        )

    def dead_letter_without_content(
        self, topic: str, partition: int, offset: int, reason: str, detail: str, at: datetime, *, stage: str
    ) -> ProducerRecord:
        """Encode the position of an invalid record that cannot be contained in a dead letter. Arguments as `dead_letter`."""
        return self._dead_letter(
            {
                "topic": topic,
                "partition": partition,
                "offset": offset,
                "reason": reason,
                "detail": detail,
                "stage": stage,
                "failed_at": at,
                "key_bytes": UNKNOWN_BYTES,
                "value_bytes": UNKNOWN_BYTES,
                "has_all_headers": False,
            }
        )

    def _dead_letter(self, record: Record) -> ProducerRecord:
        # A text from elsewhere may have half a surrogate pair, which UTF-8 does not have.
        record["detail"] = record["detail"][:MAX_DETAIL].encode(errors="replace").decode()
        position = f"{record['topic']}/{record['partition']}/{record['offset']}"
        # Not limited to MAX_RECORD: a dead letter cannot fail.
        return ProducerRecord(
            topics.DEAD_LETTERS,
            record.get("key") or b"",
            self._codec.encode("dead_letter", record),
            self._envelope.headers("dead_letter", position, record["failed_at"]),
        )

    def checkpoint(
        self,
        agent: str,
        partition: int,
        now: datetime,
        slices: Sequence[Slice],
        records: int | None = None,
        *,
        flows: str = "",
    ) -> ProducerRecord:
        """Encode the journal entry of a committed batch.

        Args:
            agent: the agent.
            partition: the partition number.
            now: the clock of the batch, UTC.
            slices: the offsets of each topic that were read.
            records: the number of records read. None means as many as the slices have offsets.
            flows: the hash of the flows that decided.
        """
        read = sum(last - first + 1 for _, first, last in slices) if records is None else records
        record = {
            "agent": agent,
            "partition": partition,
            "now": now,
            "slices": [{"topic": topic, "first": first, "last": last} for topic, first, last in slices],
            "records": read,
            "flows": flows,
        }
        key = f"{agent}/{partition}"
        batch_id = "/".join([key, *(f"{topic}@{last}" for topic, _, last in slices)])
        return self._envelope.record(topics.CHECKPOINTS, "checkpoint", key, batch_id, record, now)
