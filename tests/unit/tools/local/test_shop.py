"""The simulated shop: deterministic by its seed, plausible, and with the expected open and click rates."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.core.model.events import OrderEvent
from streams.core.model.orders.receipt import receipt_of
from streams.tools.local.shop.lines import order_line
from streams.tools.local.shop.news import LAUNCH_DAY, LAUNCHED, NEWER, REDUCED, SOLD_OUT
from streams.tools.local.shop.people import PRODUCTS, person
from streams.tools.local.shop.reactions import CLICK_RATE, OPEN_RATE, reaction
from streams.tools.local.shop.receipts import INVOICE_SHARE, LATER_SHARE, add_receipt, is_unpaid
from streams.tools.local.shop.shop import Shop, ShopRecord
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.products import to_product

START = datetime(2026, 3, 27, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def records() -> list[ShopRecord]:
    """A minute of a busy shop where one day takes a second."""
    return list(Shop(seed=7, rate_per_s=50, day_s=1.0).records(START, 60))


def _by_order(records: list[ShopRecord]) -> dict[str, list[ShopRecord]]:
    orders: dict[str, list[ShopRecord]] = defaultdict(list)
    for shop_record in records:
        if "order_id" in shop_record.record:
            orders[shop_record.record["order_id"]].append(shop_record)
    return orders


def test_the_seed_determines_the_records(records: list[ShopRecord]) -> None:
    """Equal seeds give equal records; another seed gives others."""
    assert list(Shop(7, 50, 1.0).records(START, 60)) == records
    assert list(Shop(8, 50, 1.0).records(START, 60)) != records


def test_records_are_in_the_order_of_time(records: list[ShopRecord]) -> None:
    """Records are in order and within the requested time; the key is the customer id."""
    assert [f.at for f in records] == sorted(f.at for f in records)
    assert records[0].at >= START - timedelta(milliseconds=1)
    assert records[-1].at < START + timedelta(seconds=60)
    assert all(f.key.decode() == f.record["customer_id"] and f.record["occurred_at"] == f.at for f in records)


def test_an_order_is_placed_first(records: list[ShopRecord]) -> None:
    """The first record of each order places it, and its total is the sum of its lines."""
    for of_order in _by_order(records).values():
        placed = of_order[0].record
        assert placed["kind"] == "placed"
        assert placed["total_minor"] == sum(line["quantity"] * line["unit_price_minor"] for line in placed["lines"])


def test_parcel_statuses_are_in_order(records: list[ShopRecord]) -> None:
    """A parcel is created, shipped, perhaps delayed, out for delivery, delivered. A cancelled order has no parcels."""
    order = ["created", "shipped", "delayed", "out_for_delivery", "delivered"]
    for of_order in _by_order(records).values():
        parcels: dict[str, list[str]] = defaultdict(list)
        for shop_record in of_order:
            if "parcel_id" in shop_record.record:
                parcels[shop_record.record["parcel_id"]].append(shop_record.record["status"])
                assert len(shop_record.record["lines"]) > 0
        for statuses in parcels.values():
            assert statuses == [status for status in order if status in statuses]
        if any(f.record.get("kind") == "cancelled" for f in of_order):
            assert not parcels


def test_the_parcels_contain_the_order(records: list[ShopRecord]) -> None:
    """All parcels of an order together contain its last version."""
    complete = 0
    for of_order in _by_order(records).values():
        versions = [f.record for f in of_order if f.record.get("kind") in {"placed", "changed"}]
        parcels = {f.record["parcel_id"]: f.record for f in of_order if "parcel_id" in f.record}
        if not parcels or len(parcels) != next(iter(parcels.values()))["parcels_in_order"]:
            continue
        complete += 1
        sent: Counter[str] = Counter()
        for parcel in parcels.values():
            for line in parcel["lines"]:
                sent[line["sku"]] += line["quantity"]
        assert sent == {line["sku"]: line["quantity"] for line in versions[-1]["lines"]}
    assert complete > 1000


def test_all_kinds_of_orders_occur(records: list[ShopRecord]) -> None:
    """Returning customers, several countries, split parcels, changes, cancellations and refunds occur in their shares."""
    placed = [f.record for f in records if f.record.get("kind") == "placed"]
    kinds = Counter(f.record["kind"] for f in records if f.topic == "orders")
    per_customer = Counter(o["customer_id"] for o in placed)
    assert 0.25 < 1 - len(per_customer) / len(placed) < 0.45
    assert max(per_customer.values()) >= 5
    assert len({o["country"] for o in placed}) >= 6
    assert {"DKK", "GBP", "EUR", "SEK"} <= {o["currency"] for o in placed}
    for kind in ("changed", "cancelled", "refunded"):
        assert 0.015 * len(placed) < kinds[kind] < 0.06 * len(placed)
    assert any(f.record["parcels_in_order"] > 1 for f in records if f.topic == "shipments")


def test_a_customer_has_one_unique_address(records: list[ShopRecord]) -> None:
    """Each customer has one address in all orders, and a profile before the first one."""
    profiles: set[str] = set()
    address: dict[str, str] = {}
    for shop_record in records:
        if shop_record.topic == "customers":
            profiles.add(shop_record.record["customer_id"])
        elif shop_record.topic == "orders":
            assert shop_record.record["customer_id"] in profiles
            assert (
                address.setdefault(shop_record.record["customer_id"], shop_record.record["email"])
                == shop_record.record["email"]
            )
    assert len(set(address.values())) == len(address)


def test_addresses_are_ascii_and_reserved() -> None:
    """For every name the address is ASCII, valid, and in a reserved domain."""
    for number in range(2000):
        mailbox, _, domain = person(1, number).email.partition("@")
        assert domain.endswith(".example")
        assert all(part.isascii() and part.isalnum() for part in mailbox.split("."))


@pytest.fixture(scope="module")
def detailed() -> list[ShopRecord]:
    """A minute of a busy shop with receipts where one day takes a second."""
    return list(Shop(7, 50, 1.0, has_receipts=True).records(START, 60))


def test_receipts_add_up(detailed: list[ShopRecord]) -> None:
    """Each order with a receipt adds up, also after a change or a later payment."""
    codec, kinds, amounts = open_codec(), Counter[str](), Counter[str]()
    for shop_record in detailed:
        if shop_record.topic != topics.ORDERS:
            continue
        record = shop_record.record
        value = codec.encode("order", record)
        event = Decoder(codec).event(topics.ORDERS, shop_record.key, value, round(shop_record.at.timestamp() * 1000))
        assert isinstance(event, OrderEvent)
        order = event.order
        assert receipt_of(order.lines, order.total_minor, order.discount_minor, order.details).adds_up
        kinds[record["kind"]] += 1
        amounts["discount"] += bool(record["discounts"])
        amounts["sale"] += any(line["discount_minor"] for line in record["lines"])
        amounts["free"] += not record["shipping_minor"]
        amounts["tax added"] += not record["prices_include_tax"]
        amounts["gift"] += record["is_gift"]
        if record["kind"] == "paid":
            assert (record["payment_status"], record["paid_minor"]) == ("paid", record["total_minor"])
    assert kinds.keys() == {"placed", "paid", "changed", "cancelled", "refunded"}
    assert min(amounts.values()) > 10


def test_everything_that_starts_a_flow_occurs(detailed: list[ShopRecord]) -> None:
    """Parcels wait at pickup points, fail and come back; customers browse, wish and recommend; products change. All of it is valid."""
    codec, seen = open_codec(), Counter[str]()
    decoder = Decoder(codec)
    for each in detailed:
        value = codec.encode(each.schema, each.record)
        if each.topic == topics.PRODUCTS:
            assert to_product(codec.decode("product", value)).sku.encode() == each.key
            seen[each.record["sku"]] += 1
        else:
            decoder.event(each.topic, each.key, value, round(each.at.timestamp() * 1000))
            what = each.record.get("kind") or each.record.get("status") or "profile"
            seen[f"{each.topic} {what}"] += 1
            seen["birthday"] += "birthday" in each.record
            seen[str(each.record.get("exception_reason"))] += 1
    wanted = {
        *(f"shipments {status}" for status in ("ready_for_pickup", "exception", "returned", "returned_to_sender")),
        *(f"browsing {kind}" for kind in ("viewed", "added_to_cart", "cart_emptied")),
        *(f"email-engagement {kind}" for kind in ("wished", "referral_redeemed")),
        *("address", "customs", "recipient_absent", "refused", "weather", "birthday"),
    }
    assert wanted | {LAUNCHED.sku, NEWER.sku, NEWER.replaces, REDUCED, SOLD_OUT} <= seen.keys()


def test_a_parcel_at_a_pickup_point_waits_there(detailed: list[ShopRecord]) -> None:
    """It has a place, a code and a last day; it is not driven to the door, and a parcel that nobody collects goes back."""
    last: dict[str, str] = {}
    for each in [f.record for f in detailed if f.topic == topics.SHIPMENTS]:
        if each["status"] == "ready_for_pickup":
            assert each["pickup"]["name"].startswith("Parcel shop ")
            assert len(each["pickup"]["code"]) == 4
            assert each["pickup"]["last_day"] == (each["occurred_at"].date() + timedelta(days=7)).isoformat()
            last[each["parcel_id"]] = ""
        elif each["parcel_id"] in last:
            assert each["status"] in ("delivered", "returned", "returned_to_sender")
            last[each["parcel_id"]] = each["status"]
    ends = Counter(last.values())
    assert ends["delivered"] > 10 * ends["returned_to_sender"] > 0


def test_the_catalogue_announces_a_product() -> None:
    """A detailed shop has a product with a date of launch, which nobody can order before, and codes of pools, each one once."""
    shop = Shop(7, 50, 1.0, has_receipts=True)
    announced = [record for _, _, record, _ in shop.catalogue(START) if record.get("launches_at")]
    assert [record["launches_at"] for record in announced] == [START + timedelta(seconds=LAUNCH_DAY)]
    codes = [record["code"] for topic, _, record, _ in shop.catalogue(START) if topic == topics.CODES]
    assert len(set(codes)) == len(codes) > 0
    assert len(shop.catalogue(START)) == len(Shop(7, 50, 1.0).catalogue(START)) + 1 + len(codes)


def test_the_records_of_an_order_agree() -> None:
    """The number, the address and the payment of an order are the same in all its records; a refund says how much."""
    orders = [f.record for f in Shop(7, 50, 1.0, has_receipts=True).records(START, 30) if f.topic == topics.ORDERS]
    first: dict[str, Any] = {}
    for order in orders:
        same = {name: order[name] for name in ("order_number", "billing_address", "payment_method", "shipping_method")}
        assert first.setdefault(order["order_id"], same) == same
        if order["kind"] == "refunded":
            assert order["refunded_minor"] == order["total_minor"]


def test_the_length_of_a_day() -> None:
    """With days twice as long, a parcel takes twice as long; the rate of orders stays."""

    def first_parcel(day_s: float) -> tuple[datetime, timedelta]:
        records = list(Shop(3, 1, day_s).records(START, 30 * day_s + 30))
        parcel = next(f for f in records if f.topic == "shipments").record
        of_order = [f for f in records if f.record.get("order_id") == parcel["order_id"]]
        delivered = next(f for f in of_order if f.record.get("status") == "delivered")
        return of_order[0].at, delivered.at - of_order[0].at

    placed, slow = first_parcel(20.0)
    placed_too, fast = first_parcel(10.0)
    assert placed == placed_too
    assert slow / fast == pytest.approx(2, rel=0.001)


def test_open_and_click_rates() -> None:
    """61.7 % of the emails are opened and 4 % clicked; a click comes after an open of the same email."""
    kinds: Counter[str] = Counter()
    total = 40_000
    for number in range(total):
        reactions = reaction(1, 1.0, f"send-{number}", "c1", START)
        at = {record["kind"]: delay_s for delay_s, record in reactions}
        kinds.update(at.keys())
        if "clicked" in at:
            assert at["clicked"] > at["opened"] > 0
    assert kinds["opened"] / total == pytest.approx(OPEN_RATE, abs=0.008)
    assert kinds["clicked"] / total == pytest.approx(CLICK_RATE, abs=0.004)
    assert 0 < kinds["complained"] < kinds["unsubscribed"] < 0.004 * total


def test_a_send_determines_the_reaction() -> None:
    """The same send gets the same reaction in every run; its times are the arrival plus the delay."""
    for number in range(200):
        reactions = reaction(1, 1.0, f"s{number}", "c1", START)
        assert reactions == reaction(1, 1.0, f"s{number}", "c1", START)
        assert all(r["occurred_at"] == START + timedelta(seconds=d) for d, r in reactions)


async def test_run_produces_records_at_their_time() -> None:
    """`run` produces exactly the computed records, none before its time."""
    produced: list[tuple[str, bytes, dict[str, Any], str]] = []
    early: list[datetime] = []

    def produce(topic: str, key: bytes, record: dict[str, Any], schema: str) -> None:
        produced.append((topic, key, record, schema))
        if record["occurred_at"] > datetime.now(UTC) + timedelta(milliseconds=20):
            early.append(record["occurred_at"])

    start = datetime.now(UTC)
    shop = Shop(5, 100, 0.05)
    count = await asyncio.wait_for(shop.run(produce, 0.3, start), 60)
    assert produced == [(f.topic, f.key, f.record, f.schema) for f in Shop(5, 100, 0.05).records(start, 0.3)]
    assert count == len(produced) == sum(shop.produced.values()) > 20
    assert not early


async def test_an_error_of_the_producer_ends_the_run() -> None:
    """Errors of `produce` are not swallowed."""

    def produce(topic: str, key: bytes, record: dict[str, Any], schema: str) -> None:
        raise BufferError("queue full")

    with pytest.raises(BufferError):
        await Shop(5, 1000, 1.0).run(produce, 1.0)


@pytest.mark.parametrize(("rate", "day"), [(0, 1), (1, 0), (-1, 1)])
def test_rates_and_days_must_be_above_zero(rate: float, day: float) -> None:
    """A rate or a day that is not above 0 is rejected, with the numbers in the message."""
    with pytest.raises(ValueError, match=r"above 0"):
        Shop(1, rate, day)


def test_shares_of_invoices() -> None:
    """A quarter of the orders get an invoice, and few are paid later, as their shares say."""
    orders = []
    for number in range(3_000):
        buyer = person(7, number)
        order = {
            "order_id": f"o-{number}", "placed_at": START, "ship_country": buyer.country,
            "lines": [order_line(PRODUCTS[0], 1, buyer.rate)],
        }  # fmt: skip
        add_receipt(order, buyer, number)
        orders.append(order)
    invoiced = sum("invoice_number" in order for order in orders) / len(orders)
    later = sum(map(is_unpaid, orders)) / len(orders)
    assert (invoiced, later) == (pytest.approx(INVOICE_SHARE, abs=0.03), pytest.approx(LATER_SHARE, abs=0.02))
