"""The records of products, product counts and sales."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

from streams.core.model.events import ProductChanged
from streams.core.model.product_events import NoteInterest, ProductChange
from streams.core.offers.catalogue import Product
from streams.core.offers.popularity import MOST_PARTNERS, WEEKS, Change, Counts, week_of
from streams.wire.validation import (
    LATEST,
    MAX_ID,
    MAX_LINES,
    Record,
    ValidationFailed,
    check_amount,
    check_currency,
    check_link,
    clipped,
    link_or_empty,
    parse_id,
    parse_ids,
    parse_optional_amount,
    parse_optional_time,
    parse_text,
    parse_time,
)

#: Complements of a product that are read; further ones are ignored.
MOST_COMPLEMENTS = 50
#: Images and categories of a product that are read, and the most pieces in stock.
MOST_IMAGES, MOST_CATEGORIES, MAX_STOCK = 10, 20, 10**9
_CHANGES = frozenset(get_args(ProductChange))
#: The week of the latest time that an order may have.
LATEST_WEEK = week_of(LATEST)


def to_product(record: Record) -> Product:
    """Return the product of a record. Raise ValidationFailed."""
    check_amount(record["unit_price_minor"], "unit_price_minor")
    check_currency(record["currency"])
    url, image_url = record["url"] or "", record["image_url"] or ""
    check_link(url, "url")
    check_link(image_url, "image_url")
    sku = parse_id(record, "sku")
    return Product(
        sku=sku,
        title=parse_text(record["title"], "title"),
        category=parse_text(record["category"], "category"),
        unit_price_minor=record["unit_price_minor"],
        currency=record["currency"],
        url=url,
        image_url=image_url,
        is_available=record["is_available"],
        is_consumable=record["is_consumable"],
        replaces=parse_id(record, "replaces") if record["replaces"] else None,
        complements=tuple(record["complements"][:MOST_COMPLEMENTS]),
        stock=_stock(record["stock"]),
        compared_price_minor=parse_optional_amount(record, "compared_price_minor"),
        image_urls=tuple(filter(None, map(link_or_empty, record["image_urls"])))[:MOST_IMAGES],
        categories=tuple([clipped(category, MAX_ID) for category in record["categories"][:MOST_CATEGORIES]]),
        launches_at=parse_optional_time(record, "launches_at"),
        back_in_stock_at=parse_optional_time(record, "back_in_stock_at"),
    )


def product_updated_at(record: Record) -> datetime:
    """Return since when a product has the values of its record, UTC. Raise ValidationFailed."""
    return parse_time(record["updated_at"], "updated_at", None)


def to_dated_product(record: Record) -> tuple[Product, datetime]:
    """Return the product of a record, and since when (UTC) it has these values. Raise ValidationFailed."""
    return to_product(record), product_updated_at(record)


def to_interest(record: Record) -> NoteInterest:
    """Return the customer's interest in a product. Raise ValidationFailed."""
    return NoteInterest(
        interest_id=record["interest_id"],
        customer_id=parse_id(record, "customer_id"),
        sku=parse_id(record, "sku"),
        wished_at=parse_optional_time(record, "wished_at"),
        bought_at=parse_optional_time(record, "bought_at"),
    )


def product_change_event(record: Record, written_at: datetime | None) -> ProductChanged:
    """Return the event of a change of the catalogue. Arguments and errors as `orders.order_event`."""
    if record["kind"] not in _CHANGES:
        raise ValidationFailed("unknown_kind", "unknown kind of change of a product")
    check_amount(record["price_minor"], "price_minor")
    check_currency(record["currency"])
    return ProductChanged(
        customer_id=record["customer_id"],
        change_id=parse_id(record, "change_id"),
        kind=record["kind"],
        sku=parse_id(record, "sku"),
        price_minor=record["price_minor"],
        currency=record["currency"],
        occurred_at=parse_time(record["occurred_at"], "occurred_at", written_at),
        replaced_sku=parse_id(record, "replaced_sku") if record["replaced_sku"] else "",
        old_price_minor=parse_optional_amount(record, "old_price_minor"),
    )


def _stock(pieces: int | None) -> int | None:
    """Return the pieces in stock, at most `MAX_STOCK`. Shops count sold-out products below 0."""
    return None if pieces is None else max(0, min(pieces, MAX_STOCK))


def to_counts(record: Record) -> Counts:
    """Return the counts of a record. Weeks that are too many are cut off, missing weeks are 0. Raise ValidationFailed."""
    weeks = (*record["weeks"], *[0] * WEEKS)[:WEEKS]
    also = {partner["sku"]: partner["orders"] for partner in record["also"][:MOST_PARTNERS]}
    return Counts(
        parse_id(record, "sku"), record["partition"], record["newest_week"], weeks, tuple(sorted(also.items()))
    )


def to_sales_change(record: Record) -> Change:
    """Return the change of the counts by one order. Raise ValidationFailed."""
    for field in ("week", "week_before"):
        # A week in the far future would hide all sales before it.
        if not 0 <= record[field] <= LATEST_WEEK:
            raise ValidationFailed("bad_time", f"{field} is before 1970 or after 2100")
    for field in ("gone", "come", "earlier"):
        if len(record[field]) > MAX_LINES:
            raise ValidationFailed("too_many_lines", f"{field}: {len(record[field])}")
    return Change(
        record["week"],
        record["week_before"],
        parse_ids(record, "gone"),
        parse_ids(record, "come"),
        record["is_new"],
        parse_ids(record, "earlier"),
    )


def parse_counts_key(key: str) -> tuple[str, int]:
    """Return the sku and the partition of a key of counts. Raise ValidationFailed (`bad_id`)."""
    sku, _, partition = key.rpartition("/")
    if not sku or not (partition.isascii() and partition.isdigit()):
        raise ValidationFailed("bad_id", "the key is not a sku, a slash and a partition")
    return sku, int(partition)
