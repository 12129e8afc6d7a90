"""Decoding of records into events: every kind, and every rule that a record can break."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.model import events
from streams.core.model.customer import NO_YEAR
from streams.core.model.person_events import CustomerErased
from streams.core.offers.code_pool_records import Code
from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.tools.local.shop.shop import Shop
from streams.wire import topics
from streams.wire.codec import SCHEMAS
from streams.wire.decode.decoder import Decoder
from streams.wire.validation import RULES, ValidationFailed
from tests.harness.codec import CODEC
from tests.harness.examples import examples
from tests.harness.records import (
    AT,
    AT_MS,
    KEY,
    code_grant,
    discount_code,
    email_event,
    engagement,
    handover,
    line,
    order,
    profile,
    retry,
    shipment,
    timer,
)

DECODER = Decoder(CODEC)


def decode(topic: str, record: dict[str, Any], timestamp_ms: int = AT_MS) -> Any:
    """Return the event of a record on `topic`."""
    return DECODER.event(topic, KEY, CODEC.encode(topics.SCHEMA_OF[topic], record), timestamp_ms)


@pytest.mark.parametrize(
    ("kind", "event_type"),
    [
        ("placed", events.OrderPlaced),
        ("paid", events.OrderPaid),
        ("changed", events.OrderChanged),
        ("cancelled", events.OrderCancelled),
        ("refunded", events.OrderRefunded),
    ],
)
def test_an_order_arrives_whole(kind: str, event_type: type) -> None:
    """Every field of every kind of order event arrives, with times to the millisecond."""
    later = AT + timedelta(hours=1)
    event = decode(topics.ORDERS, order(kind=kind, occurred_at=later))
    assert event == event_type(
        events.Order(
            order_id="o1",
            customer_id="c1",
            email="anna@example.org",
            name="Anna Østergård",
            locale="da",
            country="DK",
            ship_country="DK",
            currency="DKK",
            total_minor=50050,
            placed_at=AT,
            lines=(events.OrderLine("s1", "Kande", "kitchen", 1, 50050),),
            time_zone="Europe/Copenhagen",
        ),
        later,
    )


def test_a_shipment_arrives_whole() -> None:
    """Every field of a parcel arrives, including the delivery window."""
    record = shipment()
    event = decode(topics.SHIPMENTS, record)
    for field in ("exception_reason", "pickup", "estimated_day", "carrier_status", "is_test"):
        del record[field]
    assert event == events.ShipmentUpdated(**{**record, "lines": (events.ShippedLine("s1", 1),)})
    assert decode(topics.SHIPMENTS, shipment(window_from=None, window_to=None, lines=[])).window_from is None


@pytest.mark.parametrize(
    ("record", "event"),
    [
        (engagement("delivered"), events.MailDelivered(customer_id="c1", send_id="s-1", occurred_at=AT)),
        (
            engagement("opened", agent="scanner"),
            events.MailOpened(customer_id="c1", send_id="s-1", agent="scanner", occurred_at=AT),
        ),
        (
            engagement("clicked", agent="human", link="https://shop.example/"),
            events.MailClicked(
                customer_id="c1", send_id="s-1", link="https://shop.example/", agent="human", occurred_at=AT
            ),
        ),
        (
            engagement("bounced", hard=True, reason="550 no such user"),
            events.MailBounced(customer_id="c1", send_id="s-1", hard=True, reason="550 no such user", occurred_at=AT),
        ),
        (engagement("complained"), events.MailComplained(customer_id="c1", send_id="s-1", occurred_at=AT)),
        (
            engagement("unsubscribed", send_id=None),
            events.Unsubscribed(customer_id="c1", send_id=None, scope="marketing", occurred_at=AT),
        ),
        (
            engagement("answered", question="nps", answer="9"),
            events.SurveyAnswered(customer_id="c1", send_id="s-1", question="nps", answer="9", occurred_at=AT),
        ),
    ],
)
def test_every_kind_of_engagement_has_its_event(record: dict[str, Any], event: events.Event) -> None:
    """Each kind becomes its event with the fields of that kind."""
    assert decode(topics.ENGAGEMENT, record) == event


def test_a_profile_leaves_unknown_values_out() -> None:
    """null and an empty text mean unknown; a consent of false is known."""
    event = decode(topics.CUSTOMERS, profile(name="", locale="en-GB", marketing_consent=False))
    assert event == events.ProfileUpdated(customer_id="c1", locale="en-GB", marketing_consent=False, occurred_at=AT)


def test_a_report_and_both_timers() -> None:
    """Reports of the mailer and both kinds of timers become events. A timer fired when its record was written."""
    assert decode(topics.EVENTS, email_event()) == events.MailReported(
        customer_id="c1", send_id="s-1", outcome="sent", occurred_at=AT
    )
    fired_ms = AT_MS + 250
    step = decode(topics.DUE, timer(), fired_ms)
    assert isinstance(step, events.TimerFired)
    assert (step.due_at, step.occurred_at) == (AT, AT + timedelta(milliseconds=250))
    again = decode(topics.DUE, retry(), fired_ms)
    assert isinstance(again, events.RetryDue)
    assert (again.attempt, again.command, again.purpose) == (2, b"command", "review")
    assert decode(topics.DUE, timer(), -1).occurred_at == AT


def test_every_record_of_the_simulated_shop_is_valid() -> None:
    """All records of a busy minute become events of the customer in their key."""
    for produced in Shop(seed=3, rate_per_s=5, day_s=1.0).records(AT, 60):
        value = CODEC.encode(topics.SCHEMA_OF[produced.topic], produced.record)
        event = DECODER.event(produced.topic, produced.key, value, int(produced.at.timestamp() * 1000))
        assert event.customer_id.encode() == produced.key


def test_the_decoder_does_not_check_the_key() -> None:
    """A record with another key is decoded: the runtime republishes it under the right key."""
    value = CODEC.encode("order", order())
    for key in (b"someone else", b"", None):
        assert DECODER.event(topics.ORDERS, key, value, AT_MS).customer_id == "c1"


FAR = datetime(3000, 1, 1, tzinfo=UTC)
INVALID: list[tuple[str, str, dict[str, Any]]] = [
    ("no_customer", topics.ORDERS, order(customer_id="")),
    ("bad_pool", topics.GRANTS, code_grant(pool="Spring")),
    ("bad_code", topics.GRANTS, code_grant(code="")),
    ("bad_id", topics.GRANTS, code_grant(reward_id="")),
    ("future_time", topics.GRANTS, code_grant(occurred_at=AT + timedelta(days=2))),
    ("bad_id", topics.ORDERS, order(customer_id="c\n1")),
    ("bad_id", topics.ORDERS, order(order_id="")),
    ("bad_id", topics.ORDERS, order(order_id="o" * 201)),
    ("bad_id", topics.ORDERS, order(lines=[line(sku="a\x00b")])),
    ("bad_id", topics.SHIPMENTS, shipment(parcel_id="p\r\n")),
    ("negative_amount", topics.ORDERS, order(total_minor=-1)),
    ("negative_amount", topics.ORDERS, order(refunded_minor=-1)),
    ("negative_amount", topics.ORDERS, order(discounts=[{"amount_minor": -1}])),
    ("too_much", topics.ORDERS, order(lines=[line(unit_price_minor=-(10**15) - 1)])),
    ("too_much", topics.ORDERS, order(lines=[line(quantity_thousandths=10**9 + 1)])),
    ("too_many_lines", topics.ORDERS, order(taxes=[{"amount_minor": 1}] * 101)),
    ("too_much", topics.ENGAGEMENT, engagement("reviewed", stars=6)),
    ("missing_field", topics.ENGAGEMENT, engagement("reviewed")),
    ("missing_field", topics.ENGAGEMENT, engagement("wished")),
    ("too_much", topics.ORDERS, order(total_minor=(1 << 63) - 1)),
    ("too_much", topics.ORDERS, order(lines=[line(unit_price_minor=10**15 + 1)])),
    ("too_much", topics.ORDERS, order(lines=[line(quantity=1_000_001)])),
    ("too_much", topics.ORDERS, order(lines=[line(lasts_days=1_000_001)])),
    ("too_much", topics.SHIPMENTS, shipment(parcels_in_order=1_000_001)),
    ("bad_date", topics.CUSTOMERS, profile(birthday="1 May")),
    ("bad_date", topics.CUSTOMERS, profile(birthday="--02-30")),
    ("bad_time", topics.ORDERS, order(placed_at=FAR)),
    ("bad_time", topics.ORDERS, order(occurred_at=datetime(1999, 12, 31, tzinfo=UTC))),
    ("bad_time", topics.SHIPMENTS, shipment(window_to=FAR)),
    ("future_time", topics.ORDERS, order(occurred_at=AT + timedelta(days=1, seconds=1))),
    ("future_time", topics.ENGAGEMENT, engagement("opened", occurred_at=AT + timedelta(days=400))),
    ("too_many_lines", topics.ORDERS, order(lines=[line()] * 10_000)),
    ("too_many_lines", topics.SHIPMENTS, shipment(lines=[{"sku": "s1", "quantity": 1}] * 1001)),
    ("bad_quantity", topics.ORDERS, order(lines=[line(lasts_days=0)])),
    ("bad_quantity", topics.SHIPMENTS, shipment(lines=[{"sku": "s1", "quantity": -2}])),
    ("bad_quantity", topics.SHIPMENTS, shipment(parcels_in_order=0)),
    ("bad_currency", topics.ORDERS, order(currency="dkk")),
    ("bad_currency", topics.ORDERS, order(currency="")),
    ("bad_country", topics.ORDERS, order(country="Denmark")),
    ("bad_country", topics.ORDERS, order(ship_country="d1")),
    ("bad_locale", topics.ORDERS, order(locale="../../etc/passwd")),
    ("bad_link", topics.SHIPMENTS, shipment(tracking_url="javascript:alert(1)")),
    ("bad_link", topics.SHIPMENTS, shipment(tracking_url='https://x.example/"onload="')),
    ("too_long", topics.ORDERS, order(name="n" * 501)),
    ("too_long", topics.ORDERS, order(lines=[line(title="t" * 501)])),
    ("too_long", topics.SHIPMENTS, shipment(tracking_url="https://x.example/" + "a" * 2000)),
    ("unknown_kind", topics.ORDERS, order(kind="unknown")),
    ("unknown_kind", topics.SHIPMENTS, shipment(status="unknown")),
    ("unknown_kind", topics.ENGAGEMENT, engagement("unknown")),
    ("unknown_kind", topics.DUE, timer(kind="unknown")),
    ("missing_field", topics.ENGAGEMENT, engagement("opened", send_id=None)),
    ("missing_field", topics.ENGAGEMENT, engagement("clicked")),
    ("missing_field", topics.ENGAGEMENT, engagement("answered", question="nps")),
    ("missing_field", topics.DUE, retry(command=None)),
    ("bad_merge", topics.CUSTOMERS, profile(merged_into="c1")),
    ("bad_id", topics.CUSTOMERS, profile(merged_into="c\n2")),
    ("merge_loop", topics.HANDOVERS, handover(path=[])),
    ("merge_loop", topics.HANDOVERS, handover(path=[f"c{number}" for number in range(33)])),
    ("unknown_topic", topics.HANDOVERS, handover(topic=topics.HANDOVERS)),
    ("unknown_topic", topics.HANDOVERS, handover(topic="elsewhere")),
    ("unknown_kind", topics.HANDOVERS, handover(kind="unknown")),
    ("bad_handover", topics.HANDOVERS, handover(kind="state")),
    ("bad_handover", topics.HANDOVERS, handover(kind="state", state=b"\xff\x00")),
    ("bad_handover", topics.HANDOVERS, handover(kind="release", state=b"\x05garbage")),
]


def test_a_profile_has_every_consent_and_its_notice() -> None:
    """Yes, no and unknown arrive for each purpose. The notice is an id; an empty notice is unknown."""
    answers = {
        "review_consent": True,
        "survey_consent": False,
        "profile_consent": None,
        "consent_notice": "2026-03",
        "consent_source": "checkout",
        "consent_wording": "Ja, send mig nyheder",
    }
    event = decode(topics.CUSTOMERS, profile(**answers))
    assert event == events.ProfileUpdated(customer_id="c1", occurred_at=AT, **answers)
    assert decode(topics.CUSTOMERS, profile(consent_notice="")).consent_notice is None
    for notice in ("a\nb", "x" * 201):
        with pytest.raises(ValidationFailed, match="bad_id"):
            decode(topics.CUSTOMERS, profile(consent_notice=notice, marketing_consent=True))
    with pytest.raises(ValidationFailed, match="too_long"):
        decode(topics.CUSTOMERS, profile(consent_wording="x" * 301, marketing_consent=True))


def test_a_profile_is_not_newer_than_its_record_and_now() -> None:
    """A clock that is ahead by up to a day does not make a consent newer than a refusal that follows it."""
    ahead = CODEC.encode("customer", profile(marketing_consent=True, occurred_at=AT + timedelta(hours=20)))
    assert DECODER.event(topics.CUSTOMERS, KEY, ahead, AT_MS).occurred_at == AT
    ahead_ms = AT_MS + 72_000_000
    assert DECODER.event(topics.CUSTOMERS, KEY, ahead, ahead_ms).occurred_at == AT + timedelta(hours=20)
    assert DECODER.event(topics.CUSTOMERS, KEY, ahead, ahead_ms, AT_MS).occurred_at == AT


@pytest.mark.parametrize(
    ("country", "expected"), [("dk", "DK"), (" De ", "DE"), ("UK", "GB"), ("el", "GR"), ("", None)]
)
def test_a_country_as_people_write_it(country: str, expected: str | None) -> None:
    """Case and blanks do not matter in a profile, and two codes that are often meant become those of ISO 3166-1."""
    assert decode(topics.CUSTOMERS, profile(country=country)).country == expected


def test_an_address_with_blanks_around_it() -> None:
    """The blanks are removed."""
    assert decode(topics.CUSTOMERS, profile(email=" anna@example.org ")).email == "anna@example.org"


def test_a_profile_with_the_former_schema() -> None:
    """A profile of the schema without consents is decoded, with unknown consents."""
    path = SCHEMAS / "history" / "customer-0ae0b7f6a0000e7d.avsc"
    raw = Codec({"customer": json.loads(path.read_text(encoding="utf-8"))}).encode(
        "customer", profile(name="Anna", marketing_consent=True)
    )
    event = DECODER.event(topics.CUSTOMERS, KEY, raw, AT_MS)
    assert event == events.ProfileUpdated(customer_id="c1", name="Anna", marketing_consent=True, occurred_at=AT)


@pytest.mark.parametrize("path", sorted((SCHEMAS / "history").glob("order-*.avsc")), ids=lambda path: path.stem)
def test_an_order_with_a_former_schema(path: Path) -> None:
    """An order of each former schema is decoded; fields that the schema lacks are unknown."""
    raw = Codec({"order": json.loads(path.read_text(encoding="utf-8"))}).encode("order", order())
    assert DECODER.event(topics.ORDERS, KEY, raw, AT_MS) == decode(topics.ORDERS, order())


def test_a_line_has_the_days_that_a_piece_lasts() -> None:
    """Consumable products have the days, other products null."""
    event = decode(topics.ORDERS, order(lines=[line(lasts_days=45), line()]))
    assert [line.lasts_days for line in event.order.lines] == [45, None]


def test_a_birthday_with_and_without_its_year() -> None:
    """The year may be unknown. An empty text means an unknown birthday."""
    known = {"birthday": "1984-05-01", "gender": "kvinde"}
    assert (decode(topics.CUSTOMERS, profile(**known)).birthday, decode(topics.CUSTOMERS, profile(**known)).gender) == (
        date(1984, 5, 1),
        "kvinde",
    )
    assert decode(topics.CUSTOMERS, profile(birthday="--02-29")).birthday == date(NO_YEAR, 2, 29)
    assert decode(topics.CUSTOMERS, profile(birthday="")).birthday is None


def test_a_grant_and_a_code_arrive_whole() -> None:
    """Every field of both arrives; a code may be valid without end."""
    assert decode(topics.GRANTS, code_grant()) == events.CodeGranted(**code_grant())
    assert decode(topics.GRANTS, code_grant(expires_at=None, order_id=None)).expires_at is None
    assert DECODER.code(CODEC.encode("discount_code", discount_code())) == Code(**discount_code())
    assert DECODER.code(CODEC.encode("discount_code", discount_code(code="Ø-1/ä"))).code == "Ø-1/ä"


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        *[("bad_code", {"code": code}) for code in ("", "A B", "A\xa0B", "A\nB", "A\x00B", "A\u202eB", "x" * 33)],
        *[("bad_pool", {"pool": pool}) for pool in ("", "Spring", "spring 10", "spring/10", "1-spring", "s" * 65)],
        ("bad_time", {"expires_at": datetime(1999, 12, 31, tzinfo=UTC)}),
    ],
)
def test_an_invalid_code_is_rejected(rule: str, changes: dict[str, Any]) -> None:
    """Codes that customers cannot type and invalid pool names are rejected, and the error does not contain the code."""
    with pytest.raises(ValidationFailed) as error:
        DECODER.code(CODEC.encode("discount_code", discount_code(**changes)))
    assert error.value.rule == rule
    assert not changes.get("code") or changes["code"] not in error.value.detail


@pytest.mark.parametrize(("rule", "topic", "record"), INVALID, ids=[f"{n}-{b[0]}" for n, b in enumerate(INVALID)])
def test_an_invalid_record_names_its_rule(rule: str, topic: str, record: dict[str, Any]) -> None:
    """Each rule rejects its records under its name in the closed list, and the detail has no personal data."""
    with pytest.raises(ValidationFailed) as error:
        decode(topic, record)
    assert (error.value.rule, error.value.reason) == (rule, rule)
    assert rule in RULES
    assert not any(text in error.value.detail.lower() for text in ("anna", "example.org", "østergård"))


@pytest.mark.parametrize(
    "decode_value",
    [
        lambda value: DECODER.event(topics.ORDERS, KEY, value, AT_MS),
        DECODER.command,
        DECODER.product,
        DECODER.counts,
        DECODER.sales,
        DECODER.code,
        DECODER.claim,
        DECODER.claim_withdrawal,
        DECODER.withdrawal,
    ],
)
def test_a_tombstone_is_an_invalid_record(decode_value: Callable[[bytes | None], Any]) -> None:
    """A record without a value is invalid on these topics; it does not count as a failure of the program."""
    with pytest.raises(ValidationFailed, match="no_value"):
        decode_value(None)


@pytest.mark.parametrize(("written_ms", "at"), [(AT_MS, AT), (-1, datetime(1970, 1, 1, tzinfo=UTC))])
def test_a_tombstone_of_a_customer_is_an_erasure(written_ms: int, at: datetime) -> None:
    """A record without a value on `customers` erases the customer of its key. It occurred when it was written."""
    event = DECODER.event(topics.CUSTOMERS, b"c1", None, written_ms)
    assert event == CustomerErased(customer_id="c1", occurred_at=at)


@pytest.mark.parametrize(
    ("key", "rule"), [(None, "no_customer"), (b"", "no_customer"), (b"\xff", "bad_id"), (b"a\n", "bad_id")]
)
def test_an_erasure_needs_a_customer(key: bytes | None, rule: str) -> None:
    """A tombstone whose key is not a customer id is invalid."""
    with pytest.raises(ValidationFailed, match=rule):
        DECODER.event(topics.CUSTOMERS, key, None, AT_MS)


def test_a_topic_without_events() -> None:
    """A topic that has no events is rejected."""
    with pytest.raises(ValidationFailed, match="unknown_topic"):
        DECODER.event("elsewhere", KEY, b"", AT_MS)


def test_every_rule_has_a_record() -> None:
    """Each rule of the closed list is broken by a record of these tests."""
    # An invalid address is left out of an order, and is a refusal in a profile.
    elsewhere = {"no_value", "unknown_topic", "bad_context", "too_large", "bad_address"}
    assert {rule for rule, _, _ in INVALID} | elsewhere == set(RULES)


def test_unusual_records_are_valid() -> None:
    """A name may contain HTML, and a line break in it becomes a space. Address, lines and country may be empty."""
    html = '<script>alert("x")</script>'
    assert decode(topics.ORDERS, order(name=html)).order.name == html
    assert decode(topics.ORDERS, order(name="Anna\r\nBcc: x")).order.name == "Anna  Bcc: x"
    assert decode(topics.ORDERS, order(name="Anna\xa0Ø 🎁")).order.name == "Anna\xa0Ø 🎁"
    bare = decode(
        topics.ORDERS, order(email="", country="", ship_country="", locale="", lines=[], time_zone=None)
    ).order
    assert (bare.email, bare.country, bare.lines, bare.time_zone) == ("", "", (), None)


def test_an_impossible_timestamp_is_ignored() -> None:
    """A record whose timestamp is missing or in the year 3000 is valid."""
    for timestamp_ms in (-1, 0, int(FAR.timestamp() * 1000)):
        assert decode(topics.ORDERS, order(), timestamp_ms).order.order_id == "o1"


@settings(max_examples=examples(200), deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "customer_id": st.text(max_size=5),
            "order_id": st.text(max_size=5),
            "email": st.text(max_size=12) | st.emails(),
            "name": st.text(max_size=12),
            "locale": st.text(max_size=5),
            "currency": st.text(max_size=3),
            "total_minor": st.integers(-(1 << 63), (1 << 63) - 1),
            "placed_at": st.integers(-(1 << 63), (1 << 63) - 1),
            "occurred_at": st.integers(-(1 << 63), (1 << 63) - 1),
        },
    )
)
def test_any_order_is_an_event_or_invalid(changes: dict[str, Any]) -> None:
    """Any order raises at most ValidationFailed or DecodeFailed, and an event has no control characters in its ids."""
    try:
        event = decode(topics.ORDERS, order(**changes))
    except (ValidationFailed, DecodeFailed):
        return
    assert event.order.customer_id.strip("\x00\n\r")
    assert "\n" not in event.order.email + event.order.name + event.order.order_id
    assert event.order.total_minor >= 0


def test_contacts_of_other_systems() -> None:
    """A running series arrives. An unknown purpose or kind and an invalid name are rejected."""
    record = {
        "customer_id": "c1",
        "source": "letters",
        "kind": "running",
        "until": AT + timedelta(days=90),
        "occurred_at": AT,
    }
    assert decode(topics.PRESSURE, record) == events.ContactPressed(
        customer_id="c1",
        source="letters",
        kind="running",
        purpose="marketing",
        until=AT + timedelta(days=90),
        occurred_at=AT,
    )
    for changes, rule in (
        ({"purpose": "fun"}, "unknown_kind"),
        ({"kind": "unknown"}, "unknown_kind"),
        ({"source": "x" * 41}, "too_long"),
        ({"source": ""}, "bad_id"),
    ):
        with pytest.raises(ValidationFailed) as error:
            decode(topics.PRESSURE, {**record, **changes})
        assert error.value.rule == rule


def test_a_product_before_its_launch() -> None:
    """The launch may be long after the record."""
    record = {
        "customer_id": "c1",
        "kind": "viewed",
        "sku": "s1",
        "occurred_at": AT,
        "launches_at": AT + timedelta(days=200),
    }
    assert decode(topics.BROWSING, record).launches_at == AT + timedelta(days=200)


def test_a_discount_is_in_minor_units() -> None:
    """A discount arrives in minor units, and a negative discount is rejected."""
    assert decode(topics.ORDERS, order(discount_minor=250)).order.discount_minor == 250
    with pytest.raises(ValidationFailed, match="discount_minor"):
        decode(topics.ORDERS, order(discount_minor=-1))
