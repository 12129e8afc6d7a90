"""Changes of the catalogue of which customers are notified.

A version of a product is compared with the one that was seen before. Versions between the two do not count: a product that is sold
out again by then was never back in stock.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from streams.core.model.product_events import ProductChange, ProductChanged
from streams.core.offers.catalogue import Product
from streams.core.values import ids
from streams.core.values.local_time import scale, text_of

#: Products that the catalogue first had within this time came together, as in an import.
SAME_TIME = timedelta(hours=1)
#: The same where days are shorter, at least: a catalogue takes seconds to arrive, however long a day is.
_SAME_TIME_AT_LEAST = timedelta(seconds=5)


class ProductVersion(Struct, frozen=True, gc=False, kw_only=True):
    """The part of a product's newest record that decides about changes.

    Attributes:
        offset: the offset of the record on its topic.
        updated_at: since when the product has these values, UTC, by the shop's clock.
        is_in_stock: whether it can be bought now.
        is_launched: False before its launch.
        price_minor: its price in minor units of `currency`.
        replaces: the sku of its older version, "" if it has none.
    """

    sku: str
    offset: int
    updated_at: datetime
    is_in_stock: bool
    price_minor: int
    currency: str
    is_launched: bool = True
    replaces: str = ""


class SeenVersion(Struct, frozen=True, gc=False, array_like=True, tag="version"):
    """The version of a product that was seen last, as the index stores it; `first_at` is when the product was first seen, UTC."""

    offset: int
    updated_at: datetime
    is_in_stock: bool
    is_launched: bool
    price_minor: int
    currency: str
    first_at: datetime


class Change(Struct, frozen=True, gc=False, array_like=True, tag="change"):
    """A change of a product. The fields are those of `ProductChanged`."""

    change_id: str
    kind: ProductChange
    sku: str
    price_minor: int
    currency: str
    at: datetime
    replaced_sku: str = ""
    old_price_minor: int | None = None

    @property
    def about(self) -> str:
        """The product whose customers are notified: of a replacement the older one."""
        return self.replaced_sku or self.sku

    def event_of(self, customer_id: str) -> ProductChanged:
        """Return the event of one customer."""
        return ProductChanged(
            customer_id=customer_id,
            change_id=self.change_id,
            kind=self.kind,
            sku=self.sku,
            price_minor=self.price_minor,
            currency=self.currency,
            occurred_at=self.at,
            replaced_sku=self.replaced_sku,
            old_price_minor=self.old_price_minor,
        )


def version_of(product: Product, updated_at: datetime, offset: int) -> ProductVersion:
    """Return the version of a product in a record that is at `offset` on its topic.

    A product is in stock if it is available, and its stock is unknown or above 0.
    """
    return ProductVersion(
        sku=product.sku,
        offset=offset,
        updated_at=updated_at,
        is_in_stock=product.is_available and product.stock != 0,
        is_launched=product.launches_at is None or product.launches_at <= updated_at,
        price_minor=product.unit_price_minor,
        currency=product.currency,
        replaces=product.replaces or "",
    )


def seen(version: ProductVersion, first_at: datetime) -> SeenVersion:
    """Return what the index stores of a version of a product that was first seen at `first_at`."""
    return SeenVersion(
        version.offset,
        version.updated_at,
        version.is_in_stock,
        version.is_launched,
        version.price_minor,
        version.currency,
        first_at,
    )


def is_newer(version: ProductVersion, before: SeenVersion) -> bool:
    """Return whether a version is newer than the one that was seen.

    The reader of another process may lag behind: what it shows may be older. A topic that was created again has smaller offsets.
    """
    return version.offset > before.offset or version.updated_at > before.updated_at


def has_changed(version: ProductVersion, before: SeenVersion) -> bool:
    """Return whether a version differs from the one that was seen in a value that counts."""
    return (version.is_in_stock, version.is_launched, version.price_minor, version.currency) != (
        before.is_in_stock,
        before.is_launched,
        before.price_minor,
        before.currency,
    )


def changes_of(version: ProductVersion, before: SeenVersion, now: datetime) -> list[Change]:
    """Return the changes between two versions. A product that is launched was not out of stock before.

    Args:
        version: the version of now, newer than `before`.
        before: the version that was seen last.
        now: the present time, UTC. No change is newer.
    """
    if not version.is_in_stock:
        return []
    changes = []
    if not before.is_in_stock and before.is_launched:
        changes.append(_change(version, "back_in_stock", now))
    if version.currency == before.currency and version.price_minor < before.price_minor:
        changes.append(_change(version, "price_dropped", now, old_price_minor=before.price_minor))
    return changes


def replacements_of(
    version: ProductVersion, older: SeenVersion | None, now: datetime, together: timedelta = SAME_TIME
) -> list[Change]:
    """Return the change that a product, which can be bought, replaces an older one.

    There are no changes if the catalogue first had both products at about the same time, as at an import.

    Args:
        version: the newer product.
        older: the older one, as it was seen last; None if it never was in the catalogue.
        now: the present time, UTC.
        together: products that the catalogue first had within this time came together.
    """
    if older is None or now - older.first_at < together:
        return []
    return [_change(version, "replaced", now, replaced_sku=version.replaces)]


def same_time(day_scale: float) -> timedelta:
    """Return `SAME_TIME` where a day takes `day_scale` real days."""
    return max(scale(SAME_TIME, day_scale), _SAME_TIME_AT_LEAST)


def still_holds(change: Change, present: SeenVersion | None) -> bool:
    """Return whether a product is still as a change left it. Without its version, which another partition has, it is."""
    if present is None or change.kind == "replaced":
        return True
    return present.is_in_stock and (
        change.kind != "price_dropped"
        or (present.currency == change.currency and present.price_minor <= change.price_minor)
    )


def _change(
    version: ProductVersion,
    kind: ProductChange,
    now: datetime,
    replaced_sku: str = "",
    old_price_minor: int | None = None,
) -> Change:
    at = min(version.updated_at, now)
    change_id = ids.digest("product", kind, version.sku, replaced_sku, text_of(at))
    return Change(
        change_id,
        kind,
        version.sku,
        version.price_minor,
        version.currency,
        at,
        replaced_sku,
        old_price_minor,
    )
