"""Hand-overs: records of one customer that another one receives."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streams.core.model import events
from streams.core.model.customer import new_customer
from streams.core.model.customer_codec import VERSION, encode_customer
from streams.core.model.person_events import ProfileUpdated
from streams.core.model.versioned_codec import UnknownVersion
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.handovers import MOST_VERSIONS_AHEAD
from streams.wire.validation import ValidationFailed
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.records import AT, AT_MS

DECODER = Decoder(CODEC)
LATER_MS = AT_MS + 60_000


def decode(**changes: Any) -> Any:
    """Return the event of a hand-over that was written a minute later."""
    value = CODEC.encode("customer_handover", records.handover(**changes))
    return DECODER.event(topics.HANDOVERS, b"c1", value, LATER_MS, LATER_MS)


@pytest.mark.parametrize(
    ("topic", "record"),
    [
        (topics.ORDERS, records.order(customer_id="guest-1")),
        (topics.SHIPMENTS, records.shipment(customer_id="guest-1")),
        (topics.ENGAGEMENT, records.engagement("opened", customer_id="guest-1", agent="human")),
        (topics.DUE, records.timer(customer_id="guest-1")),
        (topics.GRANTS, records.code_grant(customer_id="guest-1")),
        (topics.EVENTS, records.email_event(customer_id="guest-1")),
    ],
)
def test_a_record_becomes_an_event_of_the_receiver(topic: str, record: dict[str, Any]) -> None:
    """The event is that of the record, at the time of the record, with the customer id of the receiver."""
    raw = CODEC.encode(topics.SCHEMA_OF[topic], record)
    event = decode(topic=topic, value=raw)
    own = DECODER.event(topic, b"guest-1", raw, AT_MS)
    assert isinstance(event, events.Forwarded)
    assert (event.customer_id, event.event.customer_id, event.path) == ("c1", "c1", ("guest-1",))
    assert (event.occurred_at, event.written_at) == (own.occurred_at, AT)
    assert type(event.event) is type(own)


def test_a_clock_that_is_ahead_is_limited_by_the_first_record() -> None:
    """A yes counts at the time of its own record, not at that of the hand-over, which is later."""
    ahead = records.profile(customer_id="guest-1", marketing_consent=True, occurred_at=AT + timedelta(hours=1))
    event = decode(topic=topics.CUSTOMERS, value=CODEC.encode("customer", ahead))
    assert isinstance(event.event, ProfileUpdated)
    assert event.event.occurred_at == AT


def test_the_record_within_is_checked() -> None:
    """An invalid record within is as invalid as on its own topic."""
    with pytest.raises(ValidationFailed, match="bad_currency"):
        decode(value=CODEC.encode("order", records.order(currency="kr")))
    with pytest.raises(ValidationFailed, match="no_value"):
        decode(value=None)


def test_a_state_and_the_end_of_an_alias() -> None:
    """Both have a state, and name the ids that they have passed through, or that were erased."""
    state = new_customer("guest-1")
    handed = decode(kind="state", handover_id="h1", topic="", value=None, state=encode_customer(state))
    assert handed == events.HandedOver(
        customer_id="c1", handover_id="h1", state=state, path=("guest-1",), occurred_at=AT
    )
    released = decode(kind="release", path=["c2", "c3"], topic="", value=None, state=encode_customer(state))
    assert released == events.AliasReleased(customer_id="c1", erased_ids=("c2", "c3"), state=state, occurred_at=AT)


@pytest.mark.parametrize("kind", ["state", "release"])
def test_a_state_of_a_newer_takk_ends_the_worker(kind: str) -> None:
    """Its successor merges it. Bytes whose version no Takk can have soon are damaged, and so is an empty state."""
    for ahead in (1, MOST_VERSIONS_AHEAD):
        with pytest.raises(UnknownVersion, match="upgrade this process"):
            decode(kind=kind, handover_id="h1", topic="", value=None, state=bytes((VERSION + ahead,)))
    for state in (bytes((VERSION + MOST_VERSIONS_AHEAD + 1,)), b"\xff\x00", b"\x00", b""):
        with pytest.raises(ValidationFailed, match="bad_handover"):
            decode(kind=kind, handover_id="h1", topic="", value=None, state=state)


def test_a_timestamp_of_any_time_is_accepted() -> None:
    """Kafka lets producers set any timestamp: an impossible one limits nothing."""
    event = decode(value=CODEC.encode("order", records.order(customer_id="guest-1")), occurred_at=AT.replace(year=3000))
    assert event.event.order.order_id == "o1"


def test_a_merge_has_the_other_values_of_its_record() -> None:
    """A record that only merges has no profile, so the profile does not become as new as the merge."""
    merge = records.profile(customer_id="guest-1", merged_into="c1")
    event = DECODER.event(topics.CUSTOMERS, b"guest-1", CODEC.encode("customer", merge), AT_MS)
    assert event == events.CustomerMerged(customer_id="guest-1", into="c1", occurred_at=AT)
    named = DECODER.event(topics.CUSTOMERS, b"guest-1", CODEC.encode("customer", merge | {"name": "Anna"}), AT_MS)
    assert isinstance(named, events.CustomerMerged)
    assert named.profile == ProfileUpdated(customer_id="guest-1", name="Anna", occurred_at=AT)
