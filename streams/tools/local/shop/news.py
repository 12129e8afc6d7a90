"""Changes in the catalogue of the simulated shop: a price drops, a product is in stock again, one is launched, and one replaces another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from msgspec.structs import replace

from streams.tools.local.shop.lines import Record, product_record
from streams.tools.local.shop.people import PRODUCTS, Product

#: Product that is sold out at first, and days of its return and of its end. They come again in each period.
SOLD_OUT, BACK_DAY, GONE_DAY = "GRD-003", 42, 75
#: Product that is cheaper for some days, and its price meanwhile.
REDUCED, REDUCED_DAY, NORMAL_DAY, REDUCED_SHARE = "RUG-001", 38, 60, 0.8
#: Days after which the same changes come again.
PERIOD_DAYS = 120
#: Products that nobody can buy in the first days: one with a date of launch, and the newer version of another one.
LAUNCHED, LAUNCH_DAY = Product("LMP-004", "Pendant lamp, opal glass", "lighting", 24900, ("LMP-003",)), 32
NEWER, NEWER_DAY = (
    Product("KIT-006", "Coffee grinder II, with scale", "kitchen", 14900, ("KIT-003",), replaces="KIT-002"),
    30,
)
_BY_SKU = {product.sku: product for product in PRODUCTS}


def first_catalogue(at: datetime, later: Callable[[datetime, float], datetime]) -> list[Record]:
    """Return the records of the products that are announced at the opening of the shop, besides those that it sells."""
    return [{**product_record(LAUNCHED, at), "launches_at": later(at, LAUNCH_DAY)}]


def news(start: datetime, until: datetime, later: Callable[[datetime, float], datetime]) -> Iterator[Record]:
    """Yield the records of products that change after the opening, at their `updated_at`.

    Args:
        start: the opening, UTC.
        until: the end, UTC.
        later: returns the time a number of days after a time.
    """
    yield product_record(LAUNCHED, later(start, LAUNCH_DAY))
    replaced_at = later(start, NEWER_DAY)
    yield product_record(NEWER, replaced_at)
    yield product_record(replace(_BY_SKU[NEWER.replaces or ""], is_available=False), replaced_at)
    begin, rug, feeder = start, _BY_SKU[REDUCED], _BY_SKU[SOLD_OUT]
    while begin < until:
        reduced = replace(rug, price_cents=round(rug.price_cents * REDUCED_SHARE))
        compared = {"compared_price_minor": rug.price_cents}
        yield product_record(reduced, later(begin, REDUCED_DAY)) | compared
        yield product_record(rug, later(begin, NORMAL_DAY))
        yield product_record(replace(feeder, is_available=True), later(begin, BACK_DAY))
        yield product_record(feeder, later(begin, GONE_DAY))
        begin = later(begin, PERIOD_DAYS)
