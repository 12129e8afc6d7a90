"""Products, counts and orders for tests of recommendations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from streams.core.model.events import OrderLine
from streams.core.model.orders.order import Parcel
from streams.core.model.orders.order_state import OrderFacts, OrderState
from streams.core.offers.assortment import Assortment
from streams.core.offers.catalogue import Catalogue, Product
from streams.core.offers.popularity import Counts, Popularity, week_of

AT = datetime(2026, 3, 25, 12, tzinfo=UTC)
WEEK = week_of(AT)


def product(sku: str, category: str = "", **changes: Any) -> Product:
    """Return a product that can be bought."""
    return Product(
        **{"sku": sku, "title": sku, "category": category, "unit_price_minor": 100, "currency": "DKK"} | changes
    )


def counts_of(sku: str, orders: int, partition: int = 0, **also: int) -> Counts:
    """Return the counts of a product with `orders` orders this week; `also` are orders of other products with it."""
    return Counts(sku, partition, WEEK, (orders, 0, 0, 0, 0, 0, 0, 0), tuple(sorted(also.items())))


def assortment_of(*products: Product, counts: tuple[Counts, ...] = ()) -> Assortment:
    """Return an assortment of the products with their counts."""
    return Assortment(Catalogue(products), Popularity(counts))


def order(order_id: str, *skus: str, at: datetime = AT, **changes: Any) -> OrderState:
    """Return an order placed at `at`, with one piece of each sku; its category is `cat-<sku>`."""
    lines = tuple([OrderLine(sku, sku, f"cat-{sku}", 1, 100) for sku in skus])
    facts = OrderFacts("", "", "da", "DK", "DK", "DKK", 100 * len(skus), at, None, lines)
    return replace(OrderState(order_id, facts, at, placed=True), **changes)


def returned_parcel(*skus: str) -> Parcel:
    """Return a returned parcel with one piece of each sku."""
    lines = tuple([(sku, 1) for sku in skus])
    return Parcel("p1", "returned", AT, "PostNord", "1", "", None, None, lines, (("delivered", AT), ("returned", AT)))
