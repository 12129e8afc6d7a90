"""A simulated shop: its customers buy, and its parcels travel. The seed determines everything.

`Shop.records` computes the records and their times without a clock; `Shop.run` produces each when its time has come.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from msgspec import Struct

from streams.tools.local.shop.codes import codes
from streams.tools.local.shop.journeys import DELAYED_SHARE, Stop, journey
from streams.tools.local.shop.lines import (
    Record,
    order_line,
    own_days,
    product_record,
    profile_record,
    split_lines,
    total_minor,
)
from streams.tools.local.shop.news import LAUNCH_DAY, first_catalogue, news
from streams.tools.local.shop.people import PRODUCTS, Person, person
from streams.tools.local.shop.receipts import add_receipt, is_unpaid, outcome
from streams.tools.local.shop.visits import redeemed_referral, visit_after
from streams.wire import topics

#: Called with the topic, the key (the customer id in UTF-8), the record (as in its Avro schema) and the name of the schema.
Produce: TypeAlias = Callable[[str, bytes, Record, str], None]

RETURNING_SHARE = 0.35
SPLIT_SHARE = 0.15
CHANGED_SHARE = 0.03
CANCELLED_SHARE = 0.03
REFUNDED_SHARE = 0.04
#: Share of the orders with a receipt that are split: less, because a reader of a demo compares the shipments with the orders.
DETAILED_SPLIT_SHARE = 0.04
#: Code of customers whom a friend recommended the shop to.
FRIENDS_CODE = "FRIEND5"
#: Share of the customers who give birthdays, their own and their partner's, with their first order.
BIRTHDAY_SHARE = 0.15
GIFT_SHARE = 0.03
CARRIERS = (
    ("PostNord", "https://track.postnord.example/"),
    ("GLS", "https://gls.example/t/"),
    ("DHL", "https://dhl.example/p/"),
)
#: Records produced before other asyncio tasks may run.
YIELD_EVERY = 64


class ShopRecord(Struct, frozen=True):
    """A record that the shop produces at `at` (UTC). `key` is the id of the customer, or of the product, in UTF-8."""

    at: datetime
    topic: str
    key: bytes
    record: Record

    @property
    def schema(self) -> str:
        """The name of the record's Avro schema."""
        return topics.SCHEMA_OF[self.topic]


class Shop:
    """A shop with customers, orders and parcels.

    Args:
        seed: determines the customers, the orders and the reactions.
        rate_per_s: average number of orders per second; they come at random times.
        day_s: seconds that one day takes: 86,400 in reality, 1 in a demo.
        has_receipts: whether orders have all that a receipt shows, and customers and parcels do all that starts a flow. Without it there is
            what the rules need: that is faster, and the same in all versions, for benchmarks and for readers of earlier schemas.

    Raises:
        ValueError: the rate or the day is not above 0.
    """

    def __init__(self, seed: int, rate_per_s: float, day_s: float, *, has_receipts: bool = False) -> None:
        if rate_per_s <= 0 or day_s <= 0:
            raise ValueError(f"rate_per_s ({rate_per_s}) and day_s ({day_s}) must be above 0")
        self.seed = seed
        self.rate_per_s = rate_per_s
        self.day_s = day_s
        self.has_receipts = has_receipts
        #: Number of records that `run` produced, by topic.
        self.produced: dict[str, int] = {}
        #: The ids of the orders that `run` placed. The topic `orders` also contains changes, cancellations and refunds.
        self.order_ids: set[str] = set()

    @property
    def placed(self) -> int:
        """The number of orders that `run` placed."""
        return len(self.order_ids)

    def records(self, start: datetime, seconds: float) -> Iterator[ShopRecord]:
        """Yield the records of the `seconds` after `start` (UTC-aware), in the order of time."""
        waiting: list[tuple[datetime, int, ShopRecord]] = []
        count = 0
        end = start + timedelta(seconds=seconds)
        for product in news(start, end, self._later) if self.has_receipts else ():
            count += 1
            record = ShopRecord(product["updated_at"], topics.PRODUCTS, product["sku"].encode(), product)
            heapq.heappush(waiting, (record.at, count, record))
        for order_at, records in self._orders(start, seconds):
            while waiting and waiting[0][0] <= order_at:
                yield heapq.heappop(waiting)[2]
            for shop_record in records:
                count += 1  # records of the same time keep their order
                heapq.heappush(waiting, (shop_record.at, count, shop_record))
        while waiting and waiting[0][0] < end:
            yield heapq.heappop(waiting)[2]

    def catalogue(self, at: datetime) -> list[tuple[str, bytes, Record, str]]:
        """Return the arguments of `produce` for each product of the shop, updated at `at` (UTC), and for each discount code of a detailed one."""
        announced = first_catalogue(at, self._later) if self.has_receipts else []
        products = [*(product_record(product, at) for product in PRODUCTS), *announced]
        of_pools = codes(self.seed) if self.has_receipts else []
        return [
            *((topics.PRODUCTS, product["sku"].encode(), product, "product") for product in products),
            *((topics.CODES, code["pool"].encode(), code, "discount_code") for code in of_pools),
        ]

    async def run(self, produce: Produce, until: float, start: datetime | None = None) -> int:
        """Produce each record when its time has come; late records follow at once.

        Args:
            produce: produces a record; its errors end the run.
            until: seconds to run.
            start: the start of the records, UTC; the present if None.

        Returns:
            The number of records.
        """
        start = start or datetime.now(UTC)
        count = 0
        for shop_record in self.records(start, until):
            ahead_s = (shop_record.at - datetime.now(UTC)).total_seconds()
            if ahead_s > 0 or count % YIELD_EVERY == 0:
                await asyncio.sleep(max(ahead_s, 0))
            produce(shop_record.topic, shop_record.key, shop_record.record, shop_record.schema)
            self.produced[shop_record.topic] = self.produced.get(shop_record.topic, 0) + 1
            if shop_record.topic == topics.ORDERS and shop_record.record["kind"] == "placed":
                self.order_ids.add(shop_record.record["order_id"])
            count += 1
        return count

    # -- one order and its parcels ------------------------------------------------------------------------------

    def _orders(self, start: datetime, seconds: float) -> Iterator[tuple[datetime, list[ShopRecord]]]:
        rng = random.Random(f"shop/{self.seed}")
        at_s, customers, number = 0.0, 0, 0
        launches_at = self._later(_to_ms(start), LAUNCH_DAY)
        while (at_s := at_s + rng.expovariate(self.rate_per_s)) < seconds:
            at = _to_ms(start + timedelta(seconds=at_s))
            records: list[ShopRecord] = []
            if customers and rng.random() < RETURNING_SHARE:
                # The square makes the first customers buy most often.
                buyer = person(self.seed, int(customers * rng.random() ** 2))
            else:
                buyer = person(self.seed, customers)
                customers += 1
                records.append(self._profile(buyer, at))
            number += 1
            of_order = list(self._order_records(buyer, number, at, rng))
            records += of_order
            if self.has_receipts:
                records += self._around(of_order[0].record, buyer, customers, launches_at)
            yield at, records

    def _around(self, order: Record, buyer: Person, customers: int, launches_at: datetime) -> Iterator[ShopRecord]:
        """Yield what happens in the shop because of an order: its customer comes back, and a friend is rewarded."""
        done = list(visit_after(order, buyer, launches_at, self._later))
        if any(discount["code"] == FRIENDS_CODE for discount in order["discounts"]):
            rng = random.Random(f"{order['order_id']}/friend")
            friend = person(self.seed, int(customers * rng.random()))
            if friend != buyer:
                done.append(redeemed_referral(order, friend, order["placed_at"]))
        for each in done:
            record = each.record
            yield ShopRecord(record["occurred_at"], each.topic, record["customer_id"].encode(), record)

    def _later(self, at: datetime, days: float) -> datetime:
        return _to_ms(at + timedelta(seconds=days * self.day_s))

    def _profile(self, buyer: Person, at: datetime) -> ShopRecord:
        profile = profile_record(buyer, at)
        rng = random.Random(f"{buyer.customer_id}/days")
        if self.has_receipts and buyer.marketing_consent and rng.random() < BIRTHDAY_SHARE:
            profile |= own_days(rng)
        return ShopRecord(at, topics.CUSTOMERS, buyer.customer_id.encode(), profile)

    def _order_records(self, buyer: Person, number: int, at: datetime, rng: random.Random) -> Iterator[ShopRecord]:
        products = rng.sample(PRODUCTS, rng.choices((1, 2, 3, 4), (50, 28, 15, 7))[0])
        lines = [order_line(product, rng.choices((1, 2, 3), (80, 15, 5))[0], buyer.rate) for product in products]
        order: Record = {
            "order_id": f"o{self.seed}-{number}",
            "customer_id": buyer.customer_id,
            "email": buyer.email,
            "name": buyer.name,
            "locale": buyer.locale,
            "country": buyer.country,
            "ship_country": rng.choice(("DK", "DE", "GB")) if rng.random() < GIFT_SHARE else buyer.country,
            "currency": buyer.currency,
            "total_minor": total_minor(lines),
            "placed_at": at,
            "time_zone": buyer.time_zone,
            "lines": lines,
        }
        if self.has_receipts:
            add_receipt(order, buyer, number)

        def event(kind: str, when: datetime) -> ShopRecord:
            record = {**order, "kind": kind, "occurred_at": when}
            if self.has_receipts:
                record |= outcome(order, kind)
            return ShopRecord(when, topics.ORDERS, buyer.customer_id.encode(), record)

        yield event("placed", at)
        packed_at = self._later(at, rng.uniform(0.1, 0.6))
        roll = rng.random()
        if roll < CANCELLED_SHARE:
            yield event("cancelled", at + (packed_at - at) / 2)
            return
        if roll < CANCELLED_SHARE + CHANGED_SHARE:
            lines = [{**lines[0], "quantity": lines[0]["quantity"] + 1}, *lines[1:]]
            order |= {"lines": lines, "total_minor": total_minor(lines)}
            if self.has_receipts:
                add_receipt(order, buyer, number)
            yield event("changed", at + (packed_at - at) / 2)
        if self.has_receipts and is_unpaid(order):
            paid_at = self._later(at, rng.uniform(0.7, 1.2))
            order |= {"payment_status": "paid", "paid_minor": order["total_minor"], "payment_at": paid_at}
            yield event("paid", paid_at)
        split_share = DETAILED_SPLIT_SHARE if self.has_receipts else SPLIT_SHARE
        parcels = split_lines(lines) if rng.random() < split_share else [lines]
        delivered_at, is_back = packed_at, False
        for index, parcel in enumerate(parcels, 1):
            for shop_record in self._parcel_records(order, index, len(parcels), parcel, packed_at, rng):
                delivered_at = max(delivered_at, shop_record.at)
                is_back = is_back or shop_record.record["status"] in ("returned", "returned_to_sender")
                yield shop_record
        if is_back or roll > 1 - REFUNDED_SHARE:
            yield event("refunded", self._later(delivered_at, rng.uniform(0.3, 4.0)))

    def _parcel_records(
        self, order: Record, index: int, of: int, lines: list[Record], packed_at: datetime, rng: random.Random
    ) -> Iterator[ShopRecord]:
        carrier, link = rng.choice(CARRIERS)
        tracking_number = f"{rng.randrange(10**11):011d}"
        shipped_at = self._later(packed_at, rng.uniform(0.1, 0.8))
        promised = self._later(shipped_at, rng.uniform(1.0, 3.0))
        stops = [
            Stop("created", packed_at),
            *(
                journey(order, shipped_at, promised, self._later, rng)
                if self.has_receipts
                else self._plain_journey(shipped_at, promised, rng)
            ),
        ]
        for stop in stops:
            has_promise = stop.status != "created"
            record: Record = {
                "customer_id": order["customer_id"],
                "order_id": order["order_id"],
                "parcel_id": f"{order['order_id']}-p{index}",
                "parcels_in_order": of,
                "carrier": carrier,
                "tracking_number": tracking_number,
                "tracking_url": link + tracking_number,
                "status": stop.status,
                "window_from": promised if has_promise else None,
                "window_to": self._later(promised, 0.3) if has_promise else None,
                "lines": [{"sku": line["sku"], "quantity": line["quantity"]} for line in lines],
                "occurred_at": stop.at,
                **stop.fields,
            }
            yield ShopRecord(stop.at, topics.SHIPMENTS, order["customer_id"].encode(), record)

    def _plain_journey(self, shipped_at: datetime, promised: datetime, rng: random.Random) -> Iterator[Stop]:
        yield Stop("shipped", shipped_at)
        out_at = promised
        if rng.random() < DELAYED_SHARE:
            yield Stop("delayed", self._later(shipped_at, 0.8))
            out_at = self._later(promised, rng.uniform(0.5, 2.0))
        yield Stop("out_for_delivery", out_at)
        yield Stop("delivered", self._later(out_at, rng.uniform(0.05, 0.3)))


def _to_ms(at: datetime) -> datetime:
    """Return `at` cut to milliseconds, the precision of the records."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
