"""Encoding of what happened to email addresses, and of what mailers must know of them."""

from __future__ import annotations

from datetime import datetime

from streams.core.model.address_state import Suppression
from streams.core.model.effects import NoteAddress
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.encode.envelope import Envelope


class AddressEncoder:
    """Encodes events of addresses, and suppressions."""

    def __init__(self, codec: Codec, envelope: Envelope) -> None:
        self._envelope = envelope
        self._write_event = codec.writer("address_event", NoteAddress.__struct_fields__)

    def event(self, event: NoteAddress, now: datetime) -> ProducerRecord:
        """Encode an event. `now` is the clock of the batch, UTC."""
        value = self._write_event(event)
        return self._envelope.framed(topics.ADDRESS_EVENTS, "address_event", event.address, event.event_id, value, now)

    def suppression(self, address: str, suppression: Suppression, now: datetime) -> ProducerRecord:
        """Encode what mailers must know of an address. It replaces the record before.

        Args:
            address: the hash of the address, as hexadecimal text.
            suppression: what they must know.
            now: the clock of the batch, UTC.
        """
        record = {
            "address": address,
            "suppressed": [{"purpose": purpose, "rule": rule} for purpose, rule in suppression.suppressed],
            "capped": [{"purpose": purpose, "until": until} for purpose, until in suppression.capped],
            "limited_until": suppression.limited_until,
            "updated_at": now,
        }
        event_id = f"{address}@{now.isoformat(timespec='milliseconds')}"
        return self._envelope.record(topics.SUPPRESSIONS, "suppression", address, event_id, record, now)
