"""From records to facts: every kind, and every rule that a record can break."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.model import events
from streams.core.model.customer import NO_YEAR
from streams.core.offers.code_pool_records import Code
from streams.runtime.avro.codec import Codec, DecodeFailed
from streams.tools.local.shop.shop import Shop
from streams.wire import topics
from streams.wire.codec import SCHEMAS, open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from streams.wire.validation import RULES, ValidationFailed
from tests.harness.records import (
    AT,
    AT_MS,
    KEY,
    code_grant,
    discount_code,
    email_event,
    engagement,
    line,
    order,
    profile,
    retry,
    shipment,
    timer,
)

CODEC = open_codec()
DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)


def fact(topic: str, record: dict[str, Any], timestamp_ms: int = AT_MS) -> Any:
    """The fact that `record` on `topic` tells."""
    return DECODER.event(topic, KEY, CODEC.encode(topics.SCHEMA_OF[topic], record), timestamp_ms)


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("placed", events.OrderPlaced),
        ("paid", events.OrderPaid),
        ("changed", events.OrderChanged),
        ("cancelled", events.OrderCancelled),
        ("refunded", events.OrderRefunded),
    ],
)
def test_an_order_comes_whole(kind: str, made: type) -> None:
    """Every field of an order arrives, to the millisecond, whatever happened to it."""
    later = AT + timedelta(hours=1)
    found = fact(topics.ORDERS, order(kind=kind, occurred_at=later))
    assert found == made(
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


def test_a_shipment_comes_whole() -> None:
    """Every field of a parcel arrives, the window too."""
    record = shipment()
    found = fact(topics.SHIPMENTS, record)
    assert found == events.ShipmentUpdated(**{**record, "lines": (events.ShippedLine("s1", 1),)})
    assert fact(topics.SHIPMENTS, shipment(window_from=None, window_to=None, lines=[])).window_from is None


@pytest.mark.parametrize(
    ("record", "found"),
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
def test_every_kind_of_engagement_has_its_fact(record: dict[str, Any], found: events.Event) -> None:
    """What was done with a mail, with what belongs to it."""
    assert fact(topics.ENGAGEMENT, record) == found


def test_a_profile_leaves_out_what_is_not_known() -> None:
    """null and the empty text both mean not known; a consent of false is known."""
    found = fact(topics.CUSTOMERS, profile(name="", locale="en-GB", marketing_consent=False))
    assert found == events.ProfileUpdated(customer_id="c1", locale="en-GB", marketing_consent=False, occurred_at=AT)


def test_a_report_and_both_timers() -> None:
    """What comes back from the mailer and the scheduler; a timer fired when its record was written."""
    assert fact(topics.EVENTS, email_event()) == events.MailReported(
        customer_id="c1", send_id="s-1", outcome="sent", occurred_at=AT
    )
    fired_ms = AT_MS + 250
    step = fact(topics.DUE, timer(), fired_ms)
    assert isinstance(step, events.TimerFired)
    assert (step.due_at, step.occurred_at) == (AT, AT + timedelta(milliseconds=250))
    again = fact(topics.DUE, retry(), fired_ms)
    assert isinstance(again, events.RetryDue)
    assert (again.attempt, again.command, again.purpose) == (2, b"command", "review")
    assert fact(topics.DUE, timer(), -1).occurred_at == AT


def test_everything_that_the_simulated_shop_does_is_a_fact() -> None:
    """The records of a busy minute all pass the rules, under the key of their customer."""
    for told in Shop(seed=3, rate_per_s=5, day_s=1.0).facts(AT, 60):
        value = CODEC.encode(topics.SCHEMA_OF[told.topic], told.record)
        found = DECODER.event(told.topic, told.key, value, int(told.at.timestamp() * 1000))
        assert found.customer_id.encode() == told.key


def test_a_record_under_another_key_is_for_the_caller_to_move() -> None:
    """The key breaks no rule here: the runtime publishes the record again where it belongs."""
    value = CODEC.encode("order", order())
    for key in (b"someone else", b"", None):
        assert DECODER.event(topics.ORDERS, key, value, AT_MS).customer_id == "c1"


FAR = datetime(3000, 1, 1, tzinfo=UTC)
BROKEN: list[tuple[str, str, dict[str, Any]]] = [
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
    ("negative_amount", topics.ORDERS, order(lines=[line(unit_price_minor=-1)])),
    ("bad_date", topics.CUSTOMERS, profile(birthday="1 May")),
    ("bad_date", topics.CUSTOMERS, profile(birthday="--02-30")),
    ("bad_time", topics.ORDERS, order(placed_at=FAR)),
    ("bad_time", topics.ORDERS, order(occurred_at=datetime(1999, 12, 31, tzinfo=UTC))),
    ("bad_time", topics.SHIPMENTS, shipment(window_to=FAR)),
    ("future_time", topics.ORDERS, order(occurred_at=AT + timedelta(days=1, seconds=1))),
    ("future_time", topics.ENGAGEMENT, engagement("opened", occurred_at=AT + timedelta(days=400))),
    ("too_many_lines", topics.ORDERS, order(lines=[line()] * 10_000)),
    ("too_many_lines", topics.SHIPMENTS, shipment(lines=[{"sku": "s1", "quantity": 1}] * 1001)),
    ("bad_quantity", topics.ORDERS, order(lines=[line(quantity=0)])),
    ("bad_quantity", topics.ORDERS, order(lines=[line(lasts_days=0)])),
    ("bad_quantity", topics.SHIPMENTS, shipment(lines=[{"sku": "s1", "quantity": -2}])),
    ("bad_quantity", topics.SHIPMENTS, shipment(parcels_in_order=0)),
    ("bad_address", topics.ORDERS, order(email="anna@example.org\nBcc: all@example.org")),
    ("bad_address", topics.ORDERS, order(email="anna.example.org")),
    ("bad_address", topics.ORDERS, order(email="anna@example.org, bo@example.org")),
    ("bad_address", topics.ORDERS, order(email="Anna <anna@example.org>")),
    ("bad_address", topics.ORDERS, order(email="anna@exam\u2028ple.org")),
    ("bad_address", topics.ORDERS, order(email="a@" + "b" * 300)),
    ("bad_address", topics.CUSTOMERS, profile(email="@")),
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
]


def test_a_profile_brings_every_answer_and_its_notice() -> None:
    """Yes, no and not asked arrive for each purpose; the notice is an id, and an empty one is not known."""
    answers = {"review_consent": True, "survey_consent": False, "profile_consent": None, "consent_notice": "2026-03"}
    found = fact(topics.CUSTOMERS, profile(**answers))
    assert found == events.ProfileUpdated(customer_id="c1", occurred_at=AT, **answers)
    assert fact(topics.CUSTOMERS, profile(consent_notice="")).consent_notice is None
    for notice in ("a\nb", "x" * 201):
        with pytest.raises(ValidationFailed, match="bad_id"):
            fact(topics.CUSTOMERS, profile(consent_notice=notice))


def test_a_profile_that_an_older_shop_wrote() -> None:
    """Bytes by the schema without the answers are read, and the answers are not known."""
    [path] = (SCHEMAS / "history").glob("customer-*.avsc")
    raw = Codec({"customer": json.loads(path.read_text(encoding="utf-8"))}).encode(
        "customer", profile(name="Anna", marketing_consent=True)
    )
    found = DECODER.event(topics.CUSTOMERS, KEY, raw, AT_MS)
    assert found == events.ProfileUpdated(customer_id="c1", name="Anna", marketing_consent=True, occurred_at=AT)


@pytest.mark.parametrize("path", sorted((SCHEMAS / "history").glob("order-*.avsc")), ids=lambda path: path.stem)
def test_an_order_that_an_older_shop_wrote(path: Path) -> None:
    """Bytes by each former schema are read: what it did not tell is not known."""
    raw = Codec({"order": json.loads(path.read_text(encoding="utf-8"))}).encode("order", order())
    assert DECODER.event(topics.ORDERS, KEY, raw, AT_MS) == fact(topics.ORDERS, order())


def test_a_line_tells_how_long_a_piece_lasts() -> None:
    """Of what is used up, and null of the rest."""
    found = fact(topics.ORDERS, order(lines=[line(lasts_days=45), line()]))
    assert [one.lasts_days for one in found.order.lines] == [45, None]


def test_a_birthday_with_and_without_its_year() -> None:
    """The year may be unknown; an empty text is no birthday."""
    told = {"birthday": "1984-05-01", "gender": "kvinde"}
    assert (fact(topics.CUSTOMERS, profile(**told)).birthday, fact(topics.CUSTOMERS, profile(**told)).gender) == (
        date(1984, 5, 1),
        "kvinde",
    )
    assert fact(topics.CUSTOMERS, profile(birthday="--02-29")).birthday == date(NO_YEAR, 2, 29)
    assert fact(topics.CUSTOMERS, profile(birthday="")).birthday is None


def test_a_grant_and_a_code_come_whole() -> None:
    """Every field arrives; a code without an end has none."""
    assert fact(topics.GRANTS, code_grant()) == events.CodeGranted(**code_grant())
    assert fact(topics.GRANTS, code_grant(expires_at=None, order_id=None)).expires_at is None
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
def test_codes_that_are_none(rule: str, changes: dict[str, Any]) -> None:
    """What nobody can type in, and pools that no flow can name, are refused, and the code itself is not repeated."""
    with pytest.raises(ValidationFailed) as error:
        DECODER.code(CODEC.encode("discount_code", discount_code(**changes)))
    assert error.value.rule == rule
    assert not changes.get("code") or changes["code"] not in error.value.detail
    with pytest.raises(ValidationFailed, match="no_value"):
        DECODER.code(None)
    with pytest.raises(ValidationFailed, match="no_value"):
        DECODER.claim(None)
    with pytest.raises(ValidationFailed, match="no_value"):
        DECODER.claim_withdrawal(None)


@pytest.mark.parametrize(("rule", "topic", "record"), BROKEN, ids=[f"{n}-{b[0]}" for n, b in enumerate(BROKEN)])
def test_a_record_that_breaks_a_rule_names_it(rule: str, topic: str, record: dict[str, Any]) -> None:
    """Each rule stops what it is for, by a name of the closed list, and the detail repeats nothing personal."""
    with pytest.raises(ValidationFailed) as error:
        fact(topic, record)
    assert (error.value.rule, error.value.reason) == (rule, rule)
    assert rule in RULES
    assert not any(word in error.value.detail.lower() for word in ("anna", "example.org", "østergård"))


def test_a_tombstone_and_a_foreign_topic() -> None:
    """No value and no topic of facts are rules too."""
    with pytest.raises(ValidationFailed, match="no_value"):
        DECODER.event(topics.CUSTOMERS, KEY, None, AT_MS)
    with pytest.raises(ValidationFailed, match="unknown_topic"):
        DECODER.event("elsewhere", KEY, b"", AT_MS)


def test_every_rule_is_tried_here() -> None:
    """The closed list has no name that nothing breaks."""
    elsewhere = {"no_value", "unknown_topic", "bad_context", "too_large"}
    assert {rule for rule, _, _ in BROKEN} | elsewhere == set(RULES)


def test_what_is_only_unusual_passes() -> None:
    """HTML in a name is a name; a line break in one becomes a space; no address, no lines and no country are for the core to judge."""
    html = '<script>alert("x")</script>'
    assert fact(topics.ORDERS, order(name=html)).order.name == html
    assert fact(topics.ORDERS, order(name="Anna\r\nBcc: x")).order.name == "Anna  Bcc: x"
    assert fact(topics.ORDERS, order(name="Anna\xa0Ø 🎁")).order.name == "Anna\xa0Ø 🎁"
    bare = fact(topics.ORDERS, order(email="", country="", ship_country="", locale="", lines=[], time_zone=None)).order
    assert (bare.email, bare.country, bare.lines, bare.time_zone) == ("", "", (), None)


def test_an_impossible_record_time_bounds_nothing() -> None:
    """A producer that writes no time, or the year 3000, on the record itself does not make its facts wrong."""
    for written in (-1, 0, int(FAR.timestamp() * 1000)):
        assert fact(topics.ORDERS, order(), written).order.order_id == "o1"


@settings(max_examples=200, deadline=None)
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
def test_any_order_is_a_fact_or_refused(changes: dict[str, Any]) -> None:
    """Whatever a shop writes, nothing but ValidationFailed and DecodeFailed comes of it, and a fact has no control character in its ids."""
    try:
        found = fact(topics.ORDERS, order(**changes))
    except (ValidationFailed, DecodeFailed):
        return
    assert found.order.customer_id.strip("\x00\n\r")
    assert "\n" not in found.order.email + found.order.name + found.order.order_id
    assert found.order.total_minor >= 0


def test_what_other_systems_send() -> None:
    """A mail, a series and its end arrive; an unknown purpose, a long name and an impossible kind are refused."""
    record = {
        "customer_id": "c1",
        "source": "letters",
        "kind": "running",
        "until": AT + timedelta(days=90),
        "occurred_at": AT,
    }
    assert fact(topics.PRESSURE, record) == events.ContactPressed(
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
        with pytest.raises(ValidationFailed) as broken:
            fact(topics.PRESSURE, {**record, **changes})
        assert broken.value.rule == rule


def test_a_product_that_is_to_come() -> None:
    """Its launch may lie far ahead of the record."""
    record = {
        "customer_id": "c1",
        "kind": "viewed",
        "sku": "s1",
        "occurred_at": AT,
        "launches_at": AT + timedelta(days=200),
    }
    assert fact(topics.BROWSING, record).launches_at == AT + timedelta(days=200)


def test_a_discount_is_not_negative() -> None:
    """It arrives in minor units."""
    assert fact(topics.ORDERS, order(discount_minor=250)).order.discount_minor == 250
    with pytest.raises(ValidationFailed, match="discount_minor"):
        fact(topics.ORDERS, order(discount_minor=-1))
