"""The simulated shop: the same for the same seed, plausible, and open and click rates that hold."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.tools.local.shop.people import person
from streams.tools.local.shop.shop import CLICK_RATE, OPEN_RATE, Fact, Shop

START = datetime(2026, 3, 27, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def facts() -> list[Fact]:
    """A minute of a busy shop in which a day takes a second."""
    return list(Shop(seed=7, rate_per_s=50, day_s=1.0).facts(START, 60))


def _by_order(facts: list[Fact]) -> dict[str, list[Fact]]:
    orders: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        if "order_id" in fact.record:
            orders[fact.record["order_id"]].append(fact)
    return orders


def test_the_same_seed_gives_the_same_world(facts: list[Fact]) -> None:
    """Equal seeds give equal facts, whatever was computed before; another seed gives others."""
    assert list(Shop(7, 50, 1.0).facts(START, 60)) == facts
    assert list(Shop(8, 50, 1.0).facts(START, 60)) != facts


def test_facts_come_in_the_order_of_time_and_within_the_time_asked_for(facts: list[Fact]) -> None:
    """Nothing happens before its cause, nor after the end; every fact is keyed by its customer."""
    assert [f.at for f in facts] == sorted(f.at for f in facts)
    assert facts[0].at >= START - timedelta(milliseconds=1)
    assert facts[-1].at < START + timedelta(seconds=60)
    assert all(f.key.decode() == f.record["customer_id"] and f.record["occurred_at"] == f.at for f in facts)


def test_an_order_is_placed_before_anything_else_happens_to_it(facts: list[Fact]) -> None:
    """The first fact of each order is that it was placed, and its total is that of its lines."""
    for of_order in _by_order(facts).values():
        placed = of_order[0].record
        assert placed["kind"] == "placed"
        assert placed["total_minor"] == sum(line["quantity"] * line["unit_price_minor"] for line in placed["lines"])


def test_a_parcel_travels_its_stations_in_order(facts: list[Fact]) -> None:
    """created, shipped, perhaps delayed, out for delivery, delivered; and no parcel for a cancelled order."""
    road = ["created", "shipped", "delayed", "out_for_delivery", "delivered"]
    for of_order in _by_order(facts).values():
        parcels: dict[str, list[str]] = defaultdict(list)
        for fact in of_order:
            if "parcel_id" in fact.record:
                parcels[fact.record["parcel_id"]].append(fact.record["status"])
                assert len(fact.record["lines"]) > 0
        for stations in parcels.values():
            assert stations == [s for s in road if s in stations]
        if any(f.record.get("kind") == "cancelled" for f in of_order):
            assert not parcels


def test_the_parcels_of_an_order_hold_what_was_ordered(facts: list[Fact]) -> None:
    """Over all parcels of an order the pieces are those of its last version."""
    seen = 0
    for of_order in _by_order(facts).values():
        versions = [f.record for f in of_order if f.record.get("kind") in {"placed", "changed"}]
        parcels = {f.record["parcel_id"]: f.record for f in of_order if "parcel_id" in f.record}
        if not parcels or len(parcels) != next(iter(parcels.values()))["parcels_in_order"]:
            continue
        seen += 1
        sent: Counter[str] = Counter()
        for parcel in parcels.values():
            for line in parcel["lines"]:
                sent[line["sku"]] += line["quantity"]
        assert sent == {line["sku"]: line["quantity"] for line in versions[-1]["lines"]}
    assert seen > 1000


def test_the_world_holds_all_kinds_of_orders(facts: list[Fact]) -> None:
    """Returning customers, several countries, split parcels, changes, cancellations and refunds all occur, in their shares."""
    placed = [f.record for f in facts if f.record.get("kind") == "placed"]
    kinds = Counter(f.record["kind"] for f in facts if f.topic == "orders")
    per_customer = Counter(o["customer_id"] for o in placed)
    assert 0.25 < 1 - len(per_customer) / len(placed) < 0.45
    assert max(per_customer.values()) >= 5
    assert len({o["country"] for o in placed}) >= 6
    assert {"DKK", "GBP", "EUR", "SEK"} <= {o["currency"] for o in placed}
    for kind in ("changed", "cancelled", "refunded"):
        assert 0.015 * len(placed) < kinds[kind] < 0.06 * len(placed)
    assert any(f.record["parcels_in_order"] > 1 for f in facts if f.topic == "shipments")


def test_a_customer_stays_the_same_and_has_an_address_of_their_own(facts: list[Fact]) -> None:
    """Each customer has one address and name over all orders, and a profile before the first one."""
    profiles: set[str] = set()
    address: dict[str, str] = {}
    for fact in facts:
        if fact.topic == "customers":
            profiles.add(fact.record["customer_id"])
        elif fact.topic == "orders":
            assert fact.record["customer_id"] in profiles
            assert address.setdefault(fact.record["customer_id"], fact.record["email"]) == fact.record["email"]
    assert len(set(address.values())) == len(address)


def test_addresses_are_plain_and_reach_nobody() -> None:
    """Whatever the name, the address is ASCII, well formed, and in a domain that is reserved."""
    for number in range(2000):
        mailbox, _, domain = person(1, number).email.partition("@")
        assert domain.endswith(".example")
        assert all(part.isascii() and part.isalnum() for part in mailbox.split("."))


def test_a_day_can_be_set() -> None:
    """Twice as long a day makes the road of a parcel twice as long; orders come as fast as before."""

    def first_parcel(day_s: float) -> tuple[datetime, timedelta]:
        facts = list(Shop(3, 1, day_s).facts(START, 30 * day_s + 30))
        parcel = next(f for f in facts if f.topic == "shipments").record
        of_order = [f for f in facts if f.record.get("order_id") == parcel["order_id"]]
        delivered = next(f for f in of_order if f.record.get("status") == "delivered")
        return of_order[0].at, delivered.at - of_order[0].at

    placed, slow = first_parcel(20.0)
    placed_too, fast = first_parcel(10.0)
    assert placed == placed_too
    assert slow / fast == pytest.approx(2, rel=0.001)


def test_recipients_open_and_click_at_their_rates() -> None:
    """61.7 % of the mails are opened and 4 % clicked; every click is of an opened mail and later than its opening."""
    shop = Shop(1, 1, 1.0)
    kinds: Counter[str] = Counter()
    total = 40_000
    for number in range(total):
        acts = shop.recipient_reaction(f"send-{number}", "c1", START)
        at = {record["kind"]: delay_s for delay_s, record in acts}
        kinds.update(at.keys())
        if "clicked" in at:
            assert at["clicked"] > at["opened"] > 0
    assert kinds["opened"] / total == pytest.approx(OPEN_RATE, abs=0.008)
    assert kinds["clicked"] / total == pytest.approx(CLICK_RATE, abs=0.004)
    assert 0 < kinds["complained"] < kinds["unsubscribed"] < 0.004 * total


def test_a_reaction_is_the_same_whenever_it_is_asked_for() -> None:
    """A mail delivered twice, or a demo restarted, changes no recipient's mind; the times are the arrival plus the delay."""
    shop, again = Shop(1, 1, 1.0), Shop(1, 99, 1.0)
    for number in range(200):
        acts = shop.recipient_reaction(f"s{number}", "c1", START)
        assert acts == again.recipient_reaction(f"s{number}", "c1", START)
        assert all(r["occurred_at"] == START + timedelta(seconds=d) for d, r in acts)


async def test_run_produces_the_facts_when_their_time_has_come() -> None:
    """`run` hands over exactly the computed facts, none before its time."""
    produced: list[tuple[str, bytes, dict[str, Any], str]] = []
    early: list[datetime] = []

    def produce(topic: str, key: bytes, record: dict[str, Any], schema: str) -> None:
        produced.append((topic, key, record, schema))
        if record["occurred_at"] > datetime.now(UTC) + timedelta(milliseconds=20):
            early.append(record["occurred_at"])

    start = datetime.now(UTC)
    shop = Shop(5, 100, 0.05)
    count = await asyncio.wait_for(shop.run(produce, 0.3, start), 60)
    assert produced == [(f.topic, f.key, f.record, f.schema) for f in Shop(5, 100, 0.05).facts(start, 0.3)]
    assert count == len(produced) == sum(shop.produced.values()) > 20
    assert not early


async def test_a_producer_that_fails_ends_the_run() -> None:
    """What `produce` raises is not swallowed."""

    def produce(topic: str, key: bytes, record: dict[str, Any], schema: str) -> None:
        raise BufferError("queue full")

    with pytest.raises(BufferError):
        await Shop(5, 1000, 1.0).run(produce, 1.0)


@pytest.mark.parametrize(("rate", "day"), [(0, 1), (1, 0), (-1, 1)])
def test_rates_and_days_must_be_above_zero(rate: float, day: float) -> None:
    """A shop without time or orders is refused with the numbers in the message."""
    with pytest.raises(ValueError, match=r"above 0"):
        Shop(1, rate, day)
