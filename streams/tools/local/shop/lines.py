"""Records of products, order lines and profiles of the simulated shop."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any, TypeAlias

from streams.tools.local.shop.people import Person, Product, price

Record: TypeAlias = dict[str, Any]


def product_record(product: Product, at: datetime) -> Record:
    """Return the record of a product, updated at `at` (UTC)."""
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


def profile_record(buyer: Person, at: datetime) -> Record:
    """Return the record of a customer's profile, as it is since `at` (UTC)."""
    return {
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


def own_days(rng: random.Random) -> Record:
    """Return the fields of a profile with the birthdays of the customer and of their partner."""
    birthday = f"{rng.randint(1940, 2005)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    return {"birthday": birthday, "dates": {"partner_birthday": f"--{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"}}


def order_line(product: Product, quantity: int, rate: float) -> Record:
    """Return the line of an order, in a currency with `rate` to the euro."""
    return {
        "sku": product.sku,
        "title": product.title,
        "category": product.category,
        "quantity": quantity,
        "unit_price_minor": price(product, rate),
        "lasts_days": product.lasts_days,
    }


def total_minor(lines: list[Record]) -> int:
    """Return the total of order lines in minor units."""
    return sum(line["quantity"] * line["unit_price_minor"] for line in lines)


def split_lines(lines: list[Record]) -> list[list[Record]]:
    """Return the lines split into two or three parcels; a single line is split by quantity."""
    if len(lines) > 1:
        parcels = 3 if len(lines) > 3 else 2
        return [lines[i::parcels] for i in range(parcels)]
    quantity = lines[0]["quantity"]
    if quantity == 1:
        return [lines]
    return [[{**lines[0], "quantity": 1}], [{**lines[0], "quantity": quantity - 1}]]
