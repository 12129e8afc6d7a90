"""The encoder of the gateway: fields of a record to an encoded record for a topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

from streams.core.model.events import AgentClass
from streams.gateway.context import Unavailable
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.encode.envelope import Envelope

#: The fields of the schema `engagement` with their defaults. Most records of a gateway are clicks and opens, so its encoder is compiled.
ENGAGEMENT_FIELDS: Mapping[str, object] = {
    "customer_id": None, "send_id": None, "kind": None, "occurred_at": None, "link": None, "agent": "unknown", "scope": None,
    "question": None, "answer": None, "hard": None, "reason": None, "answer_thousandths": None, "sku": None, "order_id": None,
    "stars": None, "most_stars": 5, "event_id": None, "contest": None, "unit_price_minor": None, "currency": None,
}  # fmt: skip
#: The fields of a click or an open; all others have their defaults.
_TRACKED_FIELDS = ("customer_id", "send_id", "kind", "occurred_at", "link", "agent", "event_id")


class RecordEncoder:
    """Encodes records by their topics.

    Args:
        codec: the codec of the schemas.
        source: the writer, for the CloudEvents header `ce_source`.
        now: the clock, UTC.
    """

    def __init__(
        self,
        codec: Codec,
        source: str = "/takk/gateway",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._codec = codec
        self._envelope = Envelope(codec, source)
        self._now = now
        self._write_engagement = codec.writer("engagement", (), given=tuple(ENGAGEMENT_FIELDS))
        self._write_tracked = codec.writer("engagement", (), given=_TRACKED_FIELDS)
        self._write_order = codec.writer("order")  # orders are the largest records

    def record(self, topic: str, key: str, event_id: str, fields: Mapping[str, object]) -> ProducerRecord:
        """Return a record with its headers.

        Args:
            topic: its topic.
            key: its key.
            event_id: the header `ce_id`, the same if the request is repeated.
            fields: the fields of the topic's schema. Those that are missing get their default.

        Raises:
            Unavailable: the schema registry has not answered since the start.
            ValidationFailed: the record is too large.
            ValueError, TypeError: a field does not fit the schema.
        """
        if not self._codec.is_registered:
            raise Unavailable
        at = fields.get("occurred_at")
        moment = at if isinstance(at, datetime) else self._now()
        schema = topics.SCHEMA_OF[topic]
        return self._envelope.framed(topic, schema, key, event_id, self._encode(schema, fields), moment)

    def tracked(
        self,
        customer_id: str,
        send_id: str | None,
        kind: Literal["clicked", "opened"],
        at: datetime,
        link: str | None,
        agent: AgentClass,
        event_id: str,
    ) -> ProducerRecord:
        """Return the record of a click or an open: the same bytes as `record`, in half of its time. Errors as `record`."""
        if not self._codec.is_registered:
            raise Unavailable
        value = self._write_tracked(None, customer_id, send_id, kind, at, link, agent, event_id)
        return self._envelope.framed(topics.ENGAGEMENT, "engagement", customer_id, event_id, value, at)

    def _encode(self, schema: str, fields: Mapping[str, object]) -> bytes:
        if schema == "order":
            return self._write_order(fields)
        if schema != "engagement":
            return self._codec.encode(schema, fields)
        return self._write_engagement(None, *{**ENGAGEMENT_FIELDS, **fields}.values())
