"""Encoding of what one customer hands over to another one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from streams.core.model.customer_codec import encode_customer
from streams.core.model.effects import ForwardEvent, HandOver, ReleaseAlias
from streams.core.values.local_time import utc_from_ms
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.encode.envelope import Envelope


class HandoverEncoder:
    """Encodes states that are handed over, records of aliases, and ends of aliases."""

    def __init__(self, codec: Codec, envelope: Envelope) -> None:
        self._codec = codec
        self._envelope = envelope

    def state(self, effect: HandOver, now: datetime) -> ProducerRecord:
        """Encode the state of a customer who was merged. `now` is the clock of the batch, UTC."""
        return self._state("state", effect.handover_id, effect, effect.path, effect.merged_at, now)

    def release(self, effect: ReleaseAlias, now: datetime) -> ProducerRecord:
        """Encode the end of an alias. `now` is the clock of the batch, UTC."""
        return self._state("release", effect.release_id, effect, effect.erased_ids, effect.released_at, now)

    def forward(self, effect: ForwardEvent, record: Any, now: datetime) -> ProducerRecord:
        """Encode the record of an alias for its target.

        Args:
            effect: the effect.
            record: the record, like librdkafka's. One of `customer-handovers` keeps its content.
            now: the clock of the batch, UTC.
        """
        if record.topic() == topics.HANDOVERS:
            content = dict(self._codec.decode("customer_handover", record.value()))
            content |= {"customer_id": effect.customer_id, "path": list(effect.path)}
            return self._record(content, now)
        written_ms = record.timestamp()[1]
        return self._record(
            {
                "handover_id": f"{record.topic()}/{record.partition()}/{record.offset()}",
                "customer_id": effect.customer_id,
                "kind": "record",
                "path": list(effect.path),
                "topic": record.topic(),
                "value": record.value(),
                "occurred_at": utc_from_ms(max(0, written_ms)),
            },
            now,
        )

    def _state(
        self,
        kind: str,
        handover_id: str,
        effect: HandOver | ReleaseAlias,
        path: Iterable[str],
        occurred_at: datetime,
        now: datetime,
    ) -> ProducerRecord:
        content = {
            "handover_id": handover_id,
            "customer_id": effect.customer_id,
            "kind": kind,
            "path": list(path),
            "state": encode_customer(effect.state),
            "occurred_at": occurred_at,
        }
        return self._record(content, now)

    def _record(self, content: dict[str, Any], now: datetime) -> ProducerRecord:
        # Not limited to MAX_RECORD: a retry contains an email, which may be as large. The topic has a larger limit.
        return ProducerRecord(
            topics.HANDOVERS,
            content["customer_id"].encode(),
            self._codec.encode("customer_handover", content),
            self._envelope.headers("customer_handover", content["handover_id"], now),
        )
