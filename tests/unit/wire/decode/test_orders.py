"""Decoding of orders: every detail arrives, invalid optional fields are left out, and old writers and readers agree."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from streams.core.model import events
from streams.core.model.orders import order as orders
from streams.runtime.avro.codec import Codec
from streams.wire import topics
from streams.wire.codec import SCHEMAS, open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.validation import ValidationFailed
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.records import AT, AT_MS, KEY

DECODER = Decoder(CODEC)
ADDRESS = {
    "name": "Anna", "company": "Holm ApS", "line1": "Nørregade 1", "line2": "2. tv.", "postal_code": "1165", "city": "København",
    "region": "", "country": "DK", "phone": "+45 12",
}  # fmt: skip
#: Topic to the changes that use every new field of its records, for those that events have.
GROWN: dict[str, dict[str, Any]] = {
    topics.ORDERS: {
        "order_number": "#1001",
        "is_gift": True,
        "shipping_address": ADDRESS,
        "lines": [records.line(kind="gift_card", variant="blue")],
    },
    topics.SHIPMENTS: {
        "status": "ready_for_pickup",
        "pickup": {"name": "Kiosk", "code": "4711"},
        "estimated_day": "2026-03-30",
    },
    topics.ENGAGEMENT: {"kind": "reviewed", "stars": 4},
}


def decode(**changes: Any) -> Any:
    """Return the order of a record."""
    value = CODEC.encode("order", records.order(**changes))
    event = DECODER.event(topics.ORDERS, KEY, value, AT_MS)
    assert isinstance(event, events.OrderPlaced)
    return event.order


def test_every_detail_arrives() -> None:
    """Amounts, codes, taxes, payment, returns, addresses and marks of a record are those of the order."""
    order = decode(
        order_number=" #1001 ",
        shop_id="dk",
        subtotal_minor=1,
        shipping_minor=2,
        shipping_method="PostNord",
        discounts=[{"code": "TEN", "title": "Ten off", "amount_minor": 3}],
        taxes=[{"title": "moms", "tax_rate": 25_000, "amount_minor": 4}],
        tax_minor=5,
        prices_include_tax=False,
        paid_minor=6,
        refunded_minor=7,
        shop_currency="EUR",
        shop_total_minor=8,
        payment_method="Visa",
        payment_status="partially_paid",
        payment_at=AT,
        invoice_number="F-17",
        returns=[
            {
                "return_id": "r1",
                "received_at": AT,
                "lines": [{"sku": "s1", "quantity": 1}, {"sku": "s2", "quantity": 0}],
            }
        ],
        billing_address=ADDRESS,
        shipping_address=ADDRESS,
        pickup_point={"name": "Kiosk", "address": ADDRESS, "opening_hours": "9-17"},
        status_url="https://shop.example/o/1",
        note="Ring\ntwice",
        tags=["b2b", "vip"],
        company="Holm ApS",
        vat_number="DK1",
        is_test=True,
        is_gift=True,
        gift_recipient={"name": "Bo", "email": "bo@example.com ", "message": "Enjoy"},
        is_imported=True,
        return_url="https://shop.example/r",
        withdrawal_url="https://shop.example/w",
        invoiced_at=AT,
        invoice_note="Reverse\ncharge",
    )
    address = orders.Address(**ADDRESS)
    assert order.refunded_minor == 7
    assert (order.is_test, order.is_imported) == (True, True)
    assert order.details == orders.OrderDetails(
        "#1001", "dk", 1, 2, "PostNord", (orders.OrderDiscount("TEN", "Ten off", 3),), (orders.OrderTax("moms", 25_000, 4),), 5, False, 6,
        "EUR", 8, "Visa", "partially_paid", AT, "F-17", (orders.OrderReturn("r1", AT, (("s1", 1),)),), address, address,
        orders.PickupPoint("Kiosk", address, "9-17"), "https://shop.example/o/1", "Ring twice", ("b2b", "vip"), "Holm ApS", "DK1", True, True,
        orders.GiftRecipient("Bo", "bo@example.com", "Enjoy"), "https://shop.example/r", "https://shop.example/w",
        AT, "Reverse charge",
    )  # fmt: skip


def test_every_detail_of_a_line_arrives() -> None:
    """Variant, weight, total, discount, tax, kind, picture and page of a line are those of the record; a line without them has none."""
    line = records.line(
        variant="blue", quantity_thousandths=500, unit="kg", total_minor=1, discount_minor=2, tax_rate=25_000, tax_minor=3,
        image_url="https://shop.example/1.png", product_url="https://shop.example/1", kind="gift", is_digital=True,
    )  # fmt: skip
    detailed, plain = decode(lines=[line, records.line()]).lines
    assert detailed.details == orders.LineDetails(
        "blue", 500, "kg", 1, 2, 25_000, 3, "gift", True, "https://shop.example/1.png", "https://shop.example/1"
    )
    assert plain.details is None
    assert decode().details is None


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"unit_price_minor": -1}, "discount"),
        ({"unit_price_minor": -1, "kind": "fee"}, "fee"),
        ({"kind": "unknown"}, "product"),
    ],
)
def test_the_kind_of_a_line(changes: dict[str, Any], kind: str) -> None:
    """A line of no kind with a price below 0 is a discount; what the shop says counts."""
    [line] = decode(lines=[records.line(**changes)]).lines
    assert line.details.kind == kind


def test_invalid_optional_fields_are_cut_or_left_out() -> None:
    """A long note, an invalid link, an unknown country, an impossible rate: the order is taken, without them."""
    order = decode(
        note="n" * 5_000,
        status_url="javascript:alert(1)",
        return_url="https://shop.example/" + "r" * 2_000,
        shipping_address={**ADDRESS, "country": "Denmark", "line1": "x" * 500},
        tags=["t" * 200] * 100,
        taxes=[{"title": "", "tax_rate": -1, "amount_minor": 4}],
        gift_recipient={"name": "Bo", "email": "none", "message": ""},
        lines=[
            records.line(
                image_url="ftp://shop.example/1", product_url="https://shop.example/" + "p" * 500, variant="v" * 300
            )
        ],
    )
    details, line = order.details, order.lines[0].details
    assert (len(details.note), details.status_url, details.return_url) == (2_000, "", "")
    assert (details.shipping_address.country, len(details.shipping_address.line1)) == ("", 200)
    assert [len(tag) for tag in details.tags] == [100] * 20
    assert (details.taxes[0].tax_rate, details.gift_recipient.email) == (None, "")
    assert (line.image_url, line.product_url, len(line.variant)) == ("", "", 200)


@pytest.mark.parametrize(
    ("email", "address", "is_bad"),
    [
        ("anna@example.com ", "anna@example.com", False),
        ("info@exämple.de", "info@xn--exmple-cua.de", False),
        ("", "", False),
        ("  ", "", False),
        ("anna@example.com, bo@example.com", "", True),
        ("anna@example.org\nBcc: all@example.org", "", True),
    ],
)
def test_the_address_of_an_order(email: str, address: str, is_bad: bool) -> None:
    """A usable address is normalized; another one leaves the order without an address, and marks that it had one."""
    order = decode(email=email)
    assert (order.email, order.has_bad_address) == (address, is_bad)


#: Former schemas that have the fields in `GROWN`.
LATER = ("engagement-5e5db1e26736bee0", "engagement-375e672850b8d6f8")


@pytest.mark.parametrize("topic", GROWN)
def test_an_old_worker_beside_a_new_one(topic: str) -> None:
    """With a registry, a worker of the former schema reads records of the present one: it sees the fields and kinds that it knows."""
    name = topics.SCHEMA_OF[topic]
    sample = {topics.ORDERS: records.order, topics.SHIPMENTS: records.shipment}.get(topic)
    record = sample(**GROWN[topic]) if sample else records.engagement("delivered") | GROWN[topic]
    # The one before the fields in `GROWN`.
    former = max(
        (path for path in (SCHEMAS / "history").glob(f"{name}-*.avsc") if path.stem not in LATER),
        key=lambda path: len(path.read_text(encoding="utf-8")),
    )
    registry = SchemaRegistryClient.new_client({"url": f"mock://{name}"})
    new = open_codec(registry=registry)
    old = Codec({name: json.loads(former.read_text(encoding="utf-8"))}, registry=registry, subjects=topics.subjects())
    data = new.encode(name, record)
    old.load([name], time.monotonic())
    seen = old.decode(name, data)
    known = CODEC.decode(name, CODEC.encode(name, record))
    unknown_kinds = {topics.SHIPMENTS: {"status": "unknown"}, topics.ENGAGEMENT: {"kind": "unknown"}}.get(topic, {})
    lines = (
        [{key: line[key] for key in seen["lines"][0]} for line in known["lines"]]
        if topic == topics.ORDERS
        else known.get("lines")
    )
    expected = {**known, **unknown_kinds, **({"lines": lines} if lines is not None else {})}
    assert seen == {key: expected[key] for key in seen}
    assert len(seen) < len(known)


@pytest.mark.parametrize("path", sorted((SCHEMAS / "history").glob("shipment-*.avsc")), ids=lambda path: path.stem)
def test_a_parcel_with_a_former_schema(path: Any) -> None:
    """Old bytes of a parcel are decoded; what the schema lacks is unknown."""
    raw = Codec({"shipment": json.loads(path.read_text(encoding="utf-8"))}).encode("shipment", records.shipment())
    event = DECODER.event(topics.SHIPMENTS, KEY, raw, AT_MS)
    assert event == DECODER.event(topics.SHIPMENTS, KEY, CODEC.encode("shipment", records.shipment()), AT_MS)
    assert event.details is None


def test_lines_of_a_parcel_without_a_sku_or_without_pieces() -> None:
    """A line without a sku is in the parcel; one without pieces is not."""
    lines = [{"sku": "", "quantity": 1}, {"sku": "s1", "quantity": 0}, {"sku": "s2", "quantity": 2}]
    event = DECODER.event(topics.SHIPMENTS, KEY, CODEC.encode("shipment", records.shipment(lines=lines)), AT_MS)
    assert event.lines == (events.ShippedLine("", 1), events.ShippedLine("s2", 2))


def test_the_details_of_a_parcel() -> None:
    """The place with its code and last day, the estimated day, the reason and the carrier's words; invalid days are unknown."""
    place = {
        "name": "Kiosk",
        "line1": "Torvet 1",
        "postal_code": "8000",
        "city": "Aarhus",
        "country": "DK",
        "opening_hours": "9-17",
        "code": "4711",
    }
    record = records.shipment(
        status="ready_for_pickup", pickup={**place, "last_day": "2026-04-01"}, estimated_day="tomorrow", carrier_status="Klar", is_test=True,
        exception_reason="customs",
    )  # fmt: skip
    event = DECODER.event(topics.SHIPMENTS, KEY, CODEC.encode("shipment", record), AT_MS)
    address = orders.Address(line1="Torvet 1", postal_code="8000", city="Aarhus", country="DK")
    assert event.details == orders.ParcelDetails(
        "", orders.PickupPoint("Kiosk", address, "9-17"), "4711", "2026-04-01", "", "Klar", True
    )
    held = records.shipment(status="exception", estimated_day="2026-02-30")
    event = DECODER.event(topics.SHIPMENTS, KEY, CODEC.encode("shipment", held), AT_MS)
    assert event.details == orders.ParcelDetails("unknown")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kind": "wished", "sku": "s1"}, {"kind": "wished", "sku": "s1"}),
        ({"kind": "wished", "sku": "s1", "unit_price_minor": 12_900, "currency": "DKK"},
         {"kind": "wished", "sku": "s1", "unit_price_minor": 12_900, "currency": "DKK"}),
        ({"kind": "liked", "sku": "s1", "unit_price_minor": 12_900, "currency": "DKK"}, {"kind": "liked", "sku": "s1"}),
        ({"kind": "reviewed", "stars": 4, "sku": "s1", "order_id": "o1", "event_id": "e1"},
         {"kind": "reviewed", "stars": 4, "sku": "s1", "order_id": "o1", "event_id": "e1"}),
        ({"kind": "reviewed", "stars": 7, "most_stars": 10}, {"kind": "reviewed", "stars": 4}),
        ({"kind": "reviewed", "stars": 1, "most_stars": 100}, {"kind": "reviewed", "stars": 1}),
        ({"kind": "referral_redeemed", "order_id": "o2"}, {"kind": "referral_redeemed", "order_id": "o2"}),
        ({"kind": "contest_entered", "contest": "easter"}, {"kind": "contest_entered", "contest": "easter"}),
    ],
)  # fmt: skip
def test_what_customers_do_besides_buying(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each kind has its event, without an email; stars of any scale become stars of five."""
    record = {"customer_id": "c1", "occurred_at": AT, **changes}
    event = DECODER.event(topics.ENGAGEMENT, KEY, CODEC.encode("engagement", record), AT_MS)
    assert event == events.CustomerActed(customer_id="c1", occurred_at=AT, **expected)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"unit_price_minor": 12_900}, "missing_field"),
        ({"currency": "DKK"}, "missing_field"),
        ({"unit_price_minor": -1, "currency": "DKK"}, "negative_amount"),
        ({"unit_price_minor": 12_900, "currency": "kr"}, "bad_currency"),
    ],
)
def test_invalid_prices_of_wishes(changes: dict[str, Any], rule: str) -> None:
    """A price needs a currency, and a currency a price; both are checked."""
    record = {"customer_id": "c1", "occurred_at": AT, "kind": "wished", "sku": "s1", **changes}
    with pytest.raises(ValidationFailed) as error:
        DECODER.event(topics.ENGAGEMENT, KEY, CODEC.encode("engagement", record), AT_MS)
    assert error.value.rule == rule


def test_an_answer_with_a_number() -> None:
    """A number alone is also the text of the answer; both are kept if both are given."""
    at = AT + timedelta(hours=1)
    for changes, answer in (
        ({"answer_thousandths": 9_500}, "9.5"),
        ({"answer_thousandths": 9_000, "answer": "nine"}, "nine"),
    ):
        record = records.engagement("answered", question="nps", occurred_at=at, **changes)
        event = DECODER.event(topics.ENGAGEMENT, KEY, CODEC.encode("engagement", record), AT_MS)
        assert (event.answer, event.number_thousandths) == (answer, changes["answer_thousandths"])
