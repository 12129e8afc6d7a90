"""A send of the core, and the decoded form of the records that effects become."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from streams.core.model.effects import Content, SendMail
from streams.core.model.events import OrderLine
from streams.core.model.orders.order_state import OrderFacts, OrderState
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from tests.harness.codec import CODEC
from tests.harness.records import AT

NOW = AT + timedelta(minutes=5)
FACTS = OrderFacts(
    "anna@example.org", "Anna", "da", "DK", "DK", "DKK", 50_000, AT, None, (OrderLine("s1", "Tea", "tea", 2, 25_000),)
)
CONTENT = Content("c1", "Anna", "da", "DK", 1, NOW, ZoneInfo("Europe/Copenhagen"), OrderState("o1", FACTS))
SEND = SendMail(
    send_id="s-1",
    customer_id="c1",
    instance_id="i1",
    flow="order-confirmation",
    flow_version=2,
    step="0",
    message="confirmation",
    purpose="order",
    priority=90,
    not_after=NOW + timedelta(days=1),
    to_address="anna@example.org",
    to_name="Anna",
    locale="da",
    time_zone="Europe/Copenhagen",
    country="DK",
    order_id="o1",
    content=CONTENT,
    tracking=True,
)


def read(record: ProducerRecord) -> dict[str, Any]:
    """Return the decoded value of a record."""
    return CODEC.decode(topics.SCHEMA_OF[record.topic], record.value)


def headers(record: ProducerRecord) -> dict[str, bytes]:
    """Return the headers of a record by name."""
    return dict(record.headers)
