"""A simulated shop: its customers buy, its parcels travel, and recipients open and click emails. The seed determines everything.

`Shop.records` computes the records and their times without a clock; `Shop.run` produces each when its time has come.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from msgspec import Struct

from streams.tools.local.shop.lines import Record, order_line, product_record, profile_record, split_lines, total_minor
from streams.tools.local.shop.people import PRODUCTS, Person, person
from streams.tools.local.shop.receipts import add_receipt, outcome
from streams.wire import topics

#: Called with the topic, the key (the customer id in UTF-8), the record (as in its Avro schema) and the name of the schema.
Produce: TypeAlias = Callable[[str, bytes, Record, str], None]

RETURNING_SHARE = 0.35
SPLIT_SHARE = 0.15
CHANGED_SHARE = 0.03
CANCELLED_SHARE = 0.03
REFUNDED_SHARE = 0.04
DELAYED_SHARE = 0.05
GIFT_SHARE = 0.03
#: Shares of all emails that arrive. Only opened emails are clicked.
OPEN_RATE = 0.617
CLICK_RATE = 0.04
UNSUBSCRIBE_RATE = 0.002
COMPLAINT_RATE = 0.0003
#: Share of the opens that come from the privacy proxy of a mail client.
PROXY_SHARE = 0.35
CARRIERS = (
    ("PostNord", "https://track.postnord.example/"),
    ("GLS", "https://gls.example/t/"),
    ("DHL", "https://dhl.example/p/"),
)
#: Records produced before other asyncio tasks may run.
YIELD_EVERY = 64


class ShopRecord(Struct, frozen=True):
    """A record that the shop produces at `at` (UTC). `key` is the customer id in UTF-8."""

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
        has_receipts: whether orders have all that a receipt shows. Without it they have what the rules need: that is faster, and the same
            in all versions, for benchmarks and for readers of earlier schemas.

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
        for order_at, records in self._orders(start, seconds):
            while waiting and waiting[0][0] <= order_at:
                yield heapq.heappop(waiting)[2]
            for shop_record in records:
                count += 1  # records of the same time keep their order
                heapq.heappush(waiting, (shop_record.at, count, shop_record))
        end = start + timedelta(seconds=seconds)
        while waiting and waiting[0][0] < end:
            yield heapq.heappop(waiting)[2]

    def catalogue(self, at: datetime) -> list[tuple[str, bytes, Record, str]]:
        """Return the arguments of `produce` for each product of the shop, updated at `at` (UTC)."""
        return [(topics.PRODUCTS, product.sku.encode(), product_record(product, at), "product") for product in PRODUCTS]

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

    def recipient_reaction(self, send_id: str, customer_id: str, at: datetime) -> list[tuple[float, Record]]:
        """Return how the recipient reacts to an email that arrived at `at`: pairs of delay in seconds and engagement record.

        The same send always gets the same reaction. The time of a record is `at` plus the delay.
        """
        rng = random.Random(hashlib.blake2b(f"{self.seed}/{send_id}".encode(), digest_size=8).digest())
        interest = rng.random()  # one number for both, so that only opened emails are clicked
        open_after = min(rng.lognormvariate(-3.0, 1.2), 5.0) * self.day_s
        click_after = open_after + rng.uniform(0.0005, 0.01) * self.day_s
        is_proxy, complaint, link = rng.random() < PROXY_SHARE, rng.random(), rng.choice(("order", "product", "track"))
        reactions: list[tuple[float, Record]] = []

        def react(delay_s: float, kind: str, **more: object) -> None:
            record: Record = {
                "customer_id": customer_id,
                "send_id": send_id,
                "kind": kind,
                "occurred_at": at + timedelta(seconds=delay_s),
                "link": None,
                "agent": "unknown",
            }
            reactions.append((delay_s, {**record, **more}))

        if interest < OPEN_RATE:
            react(open_after, "opened", agent="privacy_proxy" if is_proxy else "human")
        if interest < CLICK_RATE:
            react(click_after, "clicked", agent="human", link=f"https://shop.example/{link}")
        if complaint < COMPLAINT_RATE:
            react(click_after, "complained")
        elif complaint < COMPLAINT_RATE + UNSUBSCRIBE_RATE:
            react(click_after, "unsubscribed", scope="marketing", agent="human")
        return reactions

    # -- one order and its parcels ------------------------------------------------------------------------------

    def _orders(self, start: datetime, seconds: float) -> Iterator[tuple[datetime, list[ShopRecord]]]:
        rng = random.Random(f"shop/{self.seed}")
        at_s, customers, number = 0.0, 0, 0
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
            records += self._order_records(buyer, number, at, rng)
            yield at, records

    def _later(self, at: datetime, days: float) -> datetime:
        return _to_ms(at + timedelta(seconds=days * self.day_s))

    def _profile(self, buyer: Person, at: datetime) -> ShopRecord:
        return ShopRecord(at, topics.CUSTOMERS, buyer.customer_id.encode(), profile_record(buyer, at))

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
        parcels = split_lines(lines) if rng.random() < SPLIT_SHARE else [lines]
        delivered_at = packed_at
        for index, parcel in enumerate(parcels, 1):
            for shop_record in self._parcel_records(order, index, len(parcels), parcel, packed_at, rng):
                delivered_at = max(delivered_at, shop_record.at)
                yield shop_record
        if roll > 1 - REFUNDED_SHARE:
            yield event("refunded", self._later(delivered_at, rng.uniform(0.3, 4.0)))

    def _parcel_records(
        self, order: Record, index: int, of: int, lines: list[Record], packed_at: datetime, rng: random.Random
    ) -> Iterator[ShopRecord]:
        carrier, link = rng.choice(CARRIERS)
        tracking_number = f"{rng.randrange(10**11):011d}"
        shipped_at = self._later(packed_at, rng.uniform(0.1, 0.8))
        promised = self._later(shipped_at, rng.uniform(1.0, 3.0))
        out_at = promised
        statuses = [("created", packed_at), ("shipped", shipped_at)]
        if rng.random() < DELAYED_SHARE:
            statuses.append(("delayed", self._later(shipped_at, 0.8)))
            out_at = self._later(promised, rng.uniform(0.5, 2.0))
        statuses += [("out_for_delivery", out_at), ("delivered", self._later(out_at, rng.uniform(0.05, 0.3)))]
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
            yield ShopRecord(at, topics.SHIPMENTS, order["customer_id"].encode(), record)


def _to_ms(at: datetime) -> datetime:
    """Return `at` cut to milliseconds, the precision of the records."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
