"""The index of products: which customers wish for a product or bought it, and what was last seen of the product.

All entries about a product are on the partition of its sku. The keys are text with a zero byte after each part, which no id contains:

    i/<sku>/<customer>          the customer's interest
    v/<sku>                     the version that was seen last
    c/<sku>/<kind>/<new sku>    the last change of each kind, for customers whose interest arrives after it
    r/<old sku>/<new sku>       the replacement is known

An entry takes about a hundred bytes. A customer has one for each wish and each bought product that the state still contains.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from msgspec import Struct

from streams.core.model.product_events import NoteInterest, ProductChanged
from streams.core.model.versioned_codec import VersionedCodec
from streams.core.offers.product_changes import (
    SAME_TIME,
    Change,
    ProductVersion,
    SeenVersion,
    changes_of,
    has_changed,
    is_newer,
    replacements_of,
    seen,
    still_holds,
)

_END = b"\0"


class Interest(Struct, frozen=True, gc=False, array_like=True, tag="interest"):
    """Since when a customer wishes for a product, and bought it, UTC; None if the customer does not."""

    wished_at: datetime | None = None
    bought_at: datetime | None = None


class Mark(Struct, frozen=True, gc=False, array_like=True, tag="mark"):
    """The mark that something is known."""


#: An entry of the table. New fields go to the end of a class and need a default, since the encoding has no field names.
Entry: TypeAlias = Interest | SeenVersion | Change | Mark

VERSION = 1
_CODEC: VersionedCodec[Entry] = VersionedCodec(Entry, "product index entry", VERSION)
encode_entry = _CODEC.encode
decode_entry = _CODEC.decode


class Table(Protocol):
    """The entries of one partition, the changes of the present batch included."""

    def get(self, key: bytes) -> Entry | None:
        """Return the entry under `key`, or None."""

    def put(self, key: bytes, entry: Entry | None) -> None:
        """Set the entry under `key`; None deletes it."""

    def changes(self, lower: bytes, upper: bytes) -> Iterator[Change]:
        """Yield the stored changes with lower <= key < upper, without those of the present batch."""


def _key(kind: bytes, *parts: str) -> bytes:
    return b"".join((kind, _END, *(part.encode() + _END for part in parts)))


def interest_key(sku: str, customer_id: str) -> bytes:
    """Return the key of a customer's interest in a product."""
    return _key(b"i", sku, customer_id)


def interests_of(sku: str) -> tuple[bytes, bytes]:
    """Return the range of keys, end exclusive, of the interests in a product."""
    return _range(_key(b"i", sku))


def customer_of(key: bytes) -> str:
    """Return the customer of an interest's key."""
    return key[:-1].rpartition(_END)[2].decode()


def change_key(change: Change) -> bytes:
    """Return the key of the last change of a kind. It is also the name of the walk that notifies the customers."""
    return _key(b"c", change.about, change.kind, change.sku)


def group_of(key: bytes) -> bytes:
    """Return the part of a key that the entries of its kind about its product share. Each range of the index is within one such group."""
    return key[: key.index(_END, key.index(_END) + 1) + 1]


def _range(prefix: bytes) -> tuple[bytes, bytes]:
    return prefix, prefix[:-1] + b"\x01"


def is_notified(change: Change, interest: Interest) -> bool:
    """Return whether a customer with this interest is notified of a change: the interest must be older than the change."""
    since = interest.bought_at if change.kind == "replaced" else interest.wished_at
    return since is not None and since <= change.at


class ProductIndex:
    """The rules of the index, on the entries of one partition.

    Args:
        table: the entries.
        now: the clock of the batch, UTC.
        kinds: the kinds of changes by which flows start.
        together: products that the catalogue first had within this time came together, so none of them replaces another.
    """

    def __init__(self, table: Table, now: datetime, kinds: Collection[str], together: timedelta = SAME_TIME) -> None:
        self._together = together
        self._table = table
        self._now = now
        self._kinds = kinds

    def note(self, effect: NoteInterest) -> list[ProductChanged]:
        """Store an interest, and return the events of the changes of which the customer should have been notified.

        An interest may arrive after a change that is newer, since they are on different topics. The customer's state decides in the end.
        """
        key, interest = interest_key(effect.sku, effect.customer_id), Interest(effect.wished_at, effect.bought_at)
        before = self._table.get(key)
        if interest == before:
            return []
        self._table.put(key, None if interest == Interest() else interest)
        earlier = before if isinstance(before, Interest) else Interest()
        present = self._seen(effect.sku)
        return [
            change.event_of(effect.customer_id)
            for change in self._table.changes(*_range(_key(b"c", effect.sku)))
            if change.kind in self._kinds
            and is_notified(change, interest)
            and not is_notified(change, earlier)
            and still_holds(change, present)
        ]

    def compare(self, version: ProductVersion) -> list[Change]:
        """Store a version of a product, and return its changes. The first version has none."""
        key, before = _key(b"v", version.sku), self._seen(version.sku)
        if before is None:
            self._table.put(key, seen(version, self._now))
            return []
        if not is_newer(version, before) or not has_changed(version, before):
            return []
        self._table.put(key, seen(version, before.first_at))
        return self._new(changes_of(version, before, self._now))

    def compare_replacement(self, version: ProductVersion) -> list[Change]:
        """Store that a product replaces an older one, and return the change.

        It counts from when the product can be bought.
        """
        key = _key(b"r", version.replaces, version.sku)
        if not version.is_in_stock or self._table.get(key) is not None:
            return []
        self._table.put(key, Mark())
        return self._new(replacements_of(version, self._seen(version.replaces), self._now, self._together))

    def outdated(self, sku: str) -> Iterator[Change]:
        """Yield the last changes of a product that no longer hold."""
        for kind in ("back_in_stock", "price_dropped"):
            change = self._table.get(_key(b"c", sku, kind, sku))
            if isinstance(change, Change) and not still_holds(change, self._seen(sku)):
                yield change

    def _seen(self, sku: str) -> SeenVersion | None:
        entry = self._table.get(_key(b"v", sku))
        return entry if isinstance(entry, SeenVersion) else None

    def _new(self, changes: list[Change]) -> list[Change]:
        """Store the changes of kinds that flows use, and return them. The replay of an older record is ignored."""
        found = []
        for change in changes:
            last = self._table.get(change_key(change))
            if change.kind in self._kinds and not (isinstance(last, Change) and last.at >= change.at):
                self._table.put(change_key(change), change)
                found.append(change)
        return found
