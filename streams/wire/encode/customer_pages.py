"""Encoding of what the pages of the gateway show of a customer."""

from __future__ import annotations

from datetime import datetime

from streams.core.model.customer_page import CustomerPage
from streams.core.model.effects import ShowCustomer
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.encode.envelope import Envelope


class CustomerPageEncoder:
    """Encodes customer pages."""

    def __init__(self, codec: Codec, envelope: Envelope) -> None:
        self._envelope = envelope
        self._write = codec.writer("customer_page", CustomerPage.__struct_fields__)

    def page(self, effect: ShowCustomer, now: datetime) -> ProducerRecord:
        """Encode the newest page of a customer, or a tombstone if they have none. `now` is the clock of the batch, UTC."""
        topic, schema, customer_id = topics.CUSTOMER_PAGES, "customer_page", effect.customer_id
        if effect.page is None:
            headers = self._envelope.headers(schema, effect.page_id, now)
            return ProducerRecord(topic, customer_id.encode(), None, headers)
        return self._envelope.framed(topic, schema, customer_id, effect.page_id, self._write(effect.page), now)
