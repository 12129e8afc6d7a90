"""A simulated shop: customers who buy, parcels that travel, recipients who open and click. Deterministic by its seed.

What happens, and when, is computed ahead of any clock (`Shop.facts`); `Shop.run` only waits for each moment to come.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from msgspec import Struct

from streams.tools.local.shop.people import PRODUCTS, Person, Product, person, price

ORDERS, SHIPMENTS, CUSTOMERS, ENGAGEMENT, GOODS = "orders", "shipments", "customers", "email-engagement", "products"
#: The Avro schema of the records on each topic, by its file's name in `schemas/`.
SCHEMA_OF = {ORDERS: "order", SHIPMENTS: "shipment", CUSTOMERS: "customer", ENGAGEMENT: "engagement"}

Record: TypeAlias = dict[str, Any]
#: Called with topic, key (the customer id in UTF-8), record (as its Avro schema has it), name of the schema.
Produce: TypeAlias = Callable[[str, bytes, Record, str], None]

RETURNING_SHARE = 0.35
SPLIT_SHARE = 0.15
CHANGED_SHARE = 0.03
CANCELLED_SHARE = 0.03
REFUNDED_SHARE = 0.04
DELAYED_SHARE = 0.05
GIFT_SHARE = 0.03
#: Shares of all mails that arrive, not of each other. A click is always of an opened mail.
OPEN_RATE = 0.617
CLICK_RATE = 0.04
UNSUBSCRIBE_RATE = 0.002
COMPLAINT_RATE = 0.0003
#: Of the opens, those that a mail client's privacy proxy makes.
PROXY_SHARE = 0.35
CARRIERS = (
    ("PostNord", "https://track.postnord.example/"),
    ("GLS", "https://gls.example/t/"),
    ("DHL", "https://dhl.example/p/"),
)
#: Facts produced without giving other tasks a turn.
TURN = 64


class Fact(Struct, frozen=True):
    """Something that happens in the simulated world at `at` (UTC). `key` is the customer id in UTF-8."""

    at: datetime
    topic: str
    key: bytes
    record: Record

    @property
    def schema(self) -> str:
        """The name of the record's Avro schema."""
        return SCHEMA_OF[self.topic]


class Shop:
    """A shop with customers, orders and parcels.

    Args:
        seed: the same seed gives the same customers, orders and reactions.
        rate_per_s: orders placed per second, on average (they come at random, as in a shop).
        day_s: seconds that a day of the world takes; 86400 is life, 1 a demo.

    Raises:
        ValueError: a rate or a day that is not above zero.
    """

    def __init__(self, seed: int, rate_per_s: float, day_s: float) -> None:
        if rate_per_s <= 0 or day_s <= 0:
            raise ValueError(f"rate_per_s ({rate_per_s}) and day_s ({day_s}) must be above 0")
        self.seed = seed
        self.rate_per_s = rate_per_s
        self.day_s = day_s
        #: Facts produced by `run`, by topic.
        self.produced: dict[str, int] = {}
        #: Orders placed by `run`; the topic `orders` also holds what is changed, cancelled and refunded later.
        self.placed = 0

    def facts(self, start: datetime, seconds: float) -> Iterator[Fact]:
        """What happens in the `seconds` from `start` on (UTC-aware), in the order of time."""
        waiting: list[tuple[datetime, int, Fact]] = []
        made = 0
        for order_at, facts in self._orders(start, seconds):
            while waiting and waiting[0][0] <= order_at:
                yield heapq.heappop(waiting)[2]
            for fact in facts:
                made += 1  # breaks ties in favour of what was made first
                heapq.heappush(waiting, (fact.at, made, fact))
        end = start + timedelta(seconds=seconds)
        while waiting and waiting[0][0] < end:
            yield heapq.heappop(waiting)[2]

    def catalogue(self, at: datetime) -> list[tuple[str, bytes, Record, str]]:
        """The records of everything the shop sells, as they became at `at` (UTC): what `produce` takes."""
        return [(GOODS, product.sku.encode(), _described(product, at), "product") for product in PRODUCTS]

    async def run(self, produce: Produce, until: float, start: datetime | None = None) -> int:
        """Produce each fact when its time has come, for `until` seconds; late facts follow at once.

        Args:
            produce: takes a fact; what it raises ends the run.
            until: seconds to run.
            start: the world's first moment, UTC; now when None.

        Returns:
            How many facts were produced.
        """
        start = start or datetime.now(UTC)
        count = 0
        for fact in self.facts(start, until):
            ahead_s = (fact.at - datetime.now(UTC)).total_seconds()
            if ahead_s > 0 or count % TURN == 0:
                await asyncio.sleep(max(ahead_s, 0))
            produce(fact.topic, fact.key, fact.record, fact.schema)
            self.produced[fact.topic] = self.produced.get(fact.topic, 0) + 1
            self.placed += fact.topic == "orders" and fact.record["kind"] == "placed"
            count += 1
        return count

    def recipient_reaction(self, send_id: str, customer_id: str, at: datetime) -> list[tuple[float, Record]]:
        """What the recipient of a mail that arrived at `at` does: pairs of delay in seconds and engagement record.

        Pure: the same send gets the same reaction however often it is asked for. The records' times are `at` plus the delay.
        """
        lots = random.Random(hashlib.blake2b(f"{self.seed}/{send_id}".encode(), digest_size=8).digest())
        interest = lots.random()  # one lot for both, so that who clicks has opened
        open_after = min(lots.lognormvariate(-3.0, 1.2), 5.0) * self.day_s
        click_after = open_after + lots.uniform(0.0005, 0.01) * self.day_s
        by_proxy, protest, link = lots.random() < PROXY_SHARE, lots.random(), lots.choice(("order", "product", "track"))
        acts: list[tuple[float, Record]] = []

        def act(delay_s: float, kind: str, **more: object) -> None:
            record: Record = {
                "customer_id": customer_id,
                "send_id": send_id,
                "kind": kind,
                "occurred_at": at + timedelta(seconds=delay_s),
                "link": None,
                "agent": "unknown",
            }
            acts.append((delay_s, {**record, **more}))

        if interest < OPEN_RATE:
            act(open_after, "opened", agent="privacy_proxy" if by_proxy else "human")
        if interest < CLICK_RATE:
            act(click_after, "clicked", agent="human", link=f"https://shop.example/{link}")
        if protest < COMPLAINT_RATE:
            act(click_after, "complained")
        elif protest < COMPLAINT_RATE + UNSUBSCRIBE_RATE:
            act(click_after, "unsubscribed", scope="marketing", agent="human")
        return acts

    # -- one order and what becomes of it ------------------------------------------------------------------------------

    def _orders(self, start: datetime, seconds: float) -> Iterator[tuple[datetime, list[Fact]]]:
        lots = random.Random(f"shop/{self.seed}")
        at_s, customers, number = 0.0, 0, 0
        while (at_s := at_s + lots.expovariate(self.rate_per_s)) < seconds:
            at = _to_ms(start + timedelta(seconds=at_s))
            facts: list[Fact] = []
            if customers and lots.random() < RETURNING_SHARE:
                # The square makes the first customers the regulars.
                buyer = person(self.seed, int(customers * lots.random() ** 2))
            else:
                buyer = person(self.seed, customers)
                customers += 1
                facts.append(self._profile(buyer, at))
            number += 1
            facts += self._life_of_order(buyer, number, at, lots)
            yield at, facts

    def _later(self, at: datetime, days: float) -> datetime:
        return _to_ms(at + timedelta(seconds=days * self.day_s))

    def _profile(self, buyer: Person, at: datetime) -> Fact:
        record: Record = {
            "customer_id": buyer.customer_id,
            "email": buyer.email,
            "name": buyer.name,
            "locale": buyer.locale,
            "country": buyer.country,
            "time_zone": buyer.time_zone,
            "marketing_consent": buyer.marketing_consent,
            "tracking_consent": buyer.tracking_consent,
            "occurred_at": at,
        }
        return Fact(at, CUSTOMERS, buyer.customer_id.encode(), record)

    def _life_of_order(self, buyer: Person, number: int, at: datetime, lots: random.Random) -> Iterator[Fact]:
        goods = lots.sample(PRODUCTS, lots.choices((1, 2, 3, 4), (50, 28, 15, 7))[0])
        lines = [_line(product, lots.choices((1, 2, 3), (80, 15, 5))[0], buyer.rate) for product in goods]
        order: Record = {
            "order_id": f"o{self.seed}-{number}",
            "customer_id": buyer.customer_id,
            "email": buyer.email,
            "name": buyer.name,
            "locale": buyer.locale,
            "country": buyer.country,
            "ship_country": lots.choice(("DK", "DE", "GB")) if lots.random() < GIFT_SHARE else buyer.country,
            "currency": buyer.currency,
            "total_minor": _total(lines),
            "placed_at": at,
            "time_zone": buyer.time_zone,
            "lines": lines,
        }

        def happens(kind: str, when: datetime) -> Fact:
            return Fact(when, ORDERS, buyer.customer_id.encode(), {**order, "kind": kind, "occurred_at": when})

        yield happens("placed", at)
        packed_at = self._later(at, lots.uniform(0.1, 0.6))
        fate = lots.random()
        if fate < CANCELLED_SHARE:
            yield happens("cancelled", at + (packed_at - at) / 2)
            return
        if fate < CANCELLED_SHARE + CHANGED_SHARE:
            lines = [{**lines[0], "quantity": lines[0]["quantity"] + 1}, *lines[1:]]
            order |= {"lines": lines, "total_minor": _total(lines)}
            yield happens("changed", at + (packed_at - at) / 2)
        parcels = _split(lines) if lots.random() < SPLIT_SHARE else [lines]
        delivered_at = packed_at
        for index, parcel in enumerate(parcels, 1):
            for fact in self._life_of_parcel(order, index, len(parcels), parcel, packed_at, lots):
                delivered_at = max(delivered_at, fact.at)
                yield fact
        if fate > 1 - REFUNDED_SHARE:
            yield happens("refunded", self._later(delivered_at, lots.uniform(0.3, 4.0)))

    def _life_of_parcel(
        self, order: Record, index: int, of: int, lines: list[Record], packed_at: datetime, lots: random.Random
    ) -> Iterator[Fact]:
        carrier, link = lots.choice(CARRIERS)
        tracking_number = f"{lots.randrange(10**11):011d}"
        shipped_at = self._later(packed_at, lots.uniform(0.1, 0.8))
        promised = self._later(shipped_at, lots.uniform(1.0, 3.0))
        out_at = promised
        statuses = [("created", packed_at), ("shipped", shipped_at)]
        if lots.random() < DELAYED_SHARE:
            statuses.append(("delayed", self._later(shipped_at, 0.8)))
            out_at = self._later(promised, lots.uniform(0.5, 2.0))
        statuses += [("out_for_delivery", out_at), ("delivered", self._later(out_at, lots.uniform(0.05, 0.3)))]
        for status, at in statuses:
            has_promise = status != "created"
            record: Record = {
                "customer_id": order["customer_id"],
                "order_id": order["order_id"],
                "parcel_id": f"{order['order_id']}-p{index}",
                "parcels_in_order": of,
                "carrier": carrier,
                "tracking_number": tracking_number,
                "tracking_url": link + tracking_number,
                "status": status,
                "window_from": promised if has_promise else None,
                "window_to": self._later(promised, 0.3) if has_promise else None,
                "lines": [{"sku": line["sku"], "quantity": line["quantity"]} for line in lines],
                "occurred_at": at,
            }
            yield Fact(at, SHIPMENTS, order["customer_id"].encode(), record)


def _to_ms(at: datetime) -> datetime:
    """Cut to the millisecond, as the wire does."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _described(product: Product, at: datetime) -> Record:
    return {
        "sku": product.sku,
        "title": product.title,
        "category": product.category,
        "unit_price_minor": product.price_cents,
        "currency": "EUR",
        "url": f"https://shop.example/{product.sku.lower()}",
        "image_url": None,
        "is_available": product.is_available,
        "updated_at": at,
        "is_consumable": product.is_consumable,
        "replaces": product.replaces,
        "complements": list(product.complements),
    }


def _line(product: Product, quantity: int, rate: float) -> Record:
    return {
        "sku": product.sku,
        "title": product.title,
        "category": product.category,
        "quantity": quantity,
        "unit_price_minor": price(product, rate),
        "lasts_days": product.lasts_days,
    }


def _total(lines: list[Record]) -> int:
    return sum(line["quantity"] * line["unit_price_minor"] for line in lines)


def _split(lines: list[Record]) -> list[list[Record]]:
    """The lines in two or three parcels; an order of one line with several pieces is split by piece."""
    if len(lines) > 1:
        parcels = 3 if len(lines) > 3 else 2
        return [lines[i::parcels] for i in range(parcels)]
    quantity = lines[0]["quantity"]
    if quantity == 1:
        return [lines]
    return [[{**lines[0], "quantity": 1}], [{**lines[0], "quantity": quantity - 1}]]
