"""The past of the simulated shop: customers who bought before the demo, imported as a shop would import its earlier system."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from streams.runtime.avro.codec import Codec
from streams.runtime.avro.schemas import load_schemas
from streams.settings import Settings
from streams.tools.local.shop.lines import Record, order_line, own_days, profile_record, total_minor
from streams.tools.local.shop.people import PRODUCTS, Person, person
from streams.tools.operations.importing.importer import Importer
from streams.tools.operations.importing.kafka_sink import KafkaSink
from streams.tools.operations.importing.mapping import ImportMapping
from streams.tools.operations.importing.records import KINDS, RecordBuilder

#: Customers with a past. They are every second customer of the shop, so half of those who buy in the demo have bought before.
CUSTOMERS = 1_000
#: One of so many agreed to marketing, and gave two birthdays, their own and their partner's. The others refused, so they get no marketing
#: until they buy in the demo. There a year takes minutes: emails about the past would outnumber those about the orders that a reader watches.
MEMBERS_EVERY = 10
#: Days ago of the oldest and of the newest order.
OLDEST_DAYS, NEWEST_DAYS = 365, 20


def write_past(
    directory: Path, seed: int, now: datetime, day_s: float, customers: int = CUSTOMERS
) -> tuple[dict[str, Path], int]:
    """Write the files of an earlier system, one for each kind of rows, and return their paths and the number of orders.

    Args:
        directory: receives the files.
        seed: selects the customers and the orders.
        now: the present, UTC.
        day_s: seconds that one day takes.
        customers: number of customers.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = {kind: directory / f"{kind}.jsonl" for kind in ("customers", "orders", "shipments")}
    rng = random.Random(f"past/{seed}")
    orders = 0
    with (
        paths["customers"].open("w") as profiles,
        paths["orders"].open("w") as bought,
        paths["shipments"].open("w") as shipped,
    ):
        for number in range(customers):
            buyer = person(seed, 2 * number)
            first_at = now
            for order in _orders(buyer, number, seed, now, day_s, rng):
                orders += 1
                first_at = min(first_at, datetime.fromisoformat(order["placed_at"]))
                bought.write(json.dumps(order) + "\n")
                shipped.write(json.dumps(_parcel(order, day_s)) + "\n")
            profiles.write(json.dumps(_profile(buyer, number, first_at, rng)) + "\n")
    return paths, orders


def _profile(buyer: Person, number: int, first_at: datetime, rng: random.Random) -> Record:
    is_member = number % MEMBERS_EVERY == 0
    profile = {
        **profile_record(buyer, first_at),
        "history": "complete",
        "occurred_at": first_at.isoformat(),
        "marketing_consent": is_member,
    }
    if is_member:
        profile |= own_days(rng)
    return profile


def _orders(buyer: Person, number: int, seed: int, now: datetime, day_s: float, rng: random.Random) -> Iterator[Record]:
    for count in range(rng.choices((1, 2, 3), (65, 25, 10))[0]):
        lines = [
            order_line(product, 1, buyer.rate) for product in rng.sample(PRODUCTS, rng.choices((1, 2), (70, 30))[0])
        ]
        placed_at = now - timedelta(seconds=rng.uniform(NEWEST_DAYS, OLDEST_DAYS) * day_s)
        yield {
            "order_id": f"past{seed}-{number}-{count}",
            "customer_id": buyer.customer_id,
            "email": buyer.email,
            "name": buyer.name,
            "locale": buyer.locale,
            "country": buyer.country,
            "currency": buyer.currency,
            "total_minor": total_minor(lines),
            "time_zone": buyer.time_zone,
            "lines": lines,
            "placed_at": placed_at.isoformat(),
        }


def _parcel(order: Record, day_s: float) -> Record:
    placed_at = datetime.fromisoformat(order["placed_at"])
    return {
        "customer_id": order["customer_id"],
        "order_id": order["order_id"],
        "carrier": "PostNord",
        "lines": [{"sku": line["sku"], "quantity": line["quantity"]} for line in order["lines"]],
        "delivered_at": (placed_at + timedelta(seconds=3 * day_s)).isoformat(),
    }


def import_past(settings: Settings, codec: Codec, paths: dict[str, Path]) -> int:
    """Import the files, as `takk import` does, and return the number of records.

    Raises:
        KafkaException, TimeoutError: the cluster does not accept the records.
    """
    schemas = load_schemas(settings.schemas_dir)
    count = 0
    for kind, path in paths.items():
        schema = KINDS[kind].schema
        builder = RecordBuilder(
            kind, schemas[schema], ImportMapping(), settings.shop_currency, codec, datetime.now(UTC)
        )
        count += Importer(path, builder, KafkaSink(settings, codec, schema)).run().progress.records
    return count
