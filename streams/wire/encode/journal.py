"""Encoding of dead letters, and of the journal of committed batches."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.encode.envelope import Envelope

#: Characters of a dead letter's detail.
MAX_DETAIL = 1000


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
        headers: Sequence[tuple[str, bytes | None]] | None = None,
    ) -> ProducerRecord:
        """Encode an invalid record, unchanged, as a dead letter.

        Args:
            topic, partition, offset: the record's position.
            key, value, headers: the record.
            reason, detail: those of the `InvalidRecord`, or of the stage. `detail` is cut at `MAX_DETAIL` characters.
            at: the time of the failure, UTC.
            stage: the stage that read the record.
        """
        record = {
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "key": key,
            "value": value,
            "headers": [{"name": name, "value": content} for name, content in headers or ()],
            "reason": reason,
            "detail": detail[:MAX_DETAIL],
            "stage": stage,
            "failed_at": at,
        }
        # Not limited to MAX_RECORD: an invalid record is kept whatever its size.
        return ProducerRecord(
            topics.DEAD_LETTERS,
            key or b"",
            self._codec.encode("dead_letter", record),
            self._envelope.headers("dead_letter", f"{topic}/{partition}/{offset}", at),
        )

    def checkpoint(
        self,
        agent: str,
        partition: int,
        now: datetime,
        slices: Sequence[Slice],
        records: int | None = None,
    ) -> ProducerRecord:
        """Encode the journal entry of a committed batch.

        Args:
            agent: the agent.
            partition: the partition number.
            now: the clock of the batch, UTC.
            slices: the offsets of each topic that were read.
            records: the number of records read. None means as many as the slices have offsets.
        """
        read = sum(last - first + 1 for _, first, last in slices) if records is None else records
        record = {
            "agent": agent,
            "partition": partition,
            "now": now,
            "slices": [{"topic": topic, "first": first, "last": last} for topic, first, last in slices],
            "records": read,
        }
        key = f"{agent}/{partition}"
        batch_id = "/".join([key, *(f"{topic}@{last}" for topic, _, last in slices)])
        return self._envelope.record(topics.CHECKPOINTS, "checkpoint", key, batch_id, record, now)
