"""The index of products of a simulation: all partitions in one, and customers are notified of a change at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime

from streams.core.model.product_events import NoteInterest, ProductChanged
from streams.core.offers.product_changes import Change, ProductVersion
from streams.core.offers.product_index import (
    Entry,
    Interest,
    ProductIndex,
    customer_of,
    group_of,
    interests_of,
    is_notified,
)


class SimulatedProducts:
    """The index of products in memory.

    Args:
        kinds: the kinds of changes by which flows start.
    """

    def __init__(self, kinds: Collection[str]) -> None:
        self._kinds = kinds
        #: The kind and the product of keys -> the entries about it, by key.
        self._groups: defaultdict[bytes, dict[bytes, Entry]] = defaultdict(dict)

    @property
    def entries(self) -> dict[bytes, Entry]:
        """All entries, by key."""
        return {key: entry for group in self._groups.values() for key, entry in group.items()}

    def get(self, key: bytes) -> Entry | None:
        """Return the entry under `key`, or None."""
        return self._groups[group_of(key)].get(key)

    def put(self, key: bytes, entry: Entry | None) -> None:
        """Set the entry under `key`; None deletes it."""
        if entry is None:
            self._groups[group_of(key)].pop(key, None)
        else:
            self._groups[group_of(key)][key] = entry

    def changes(self, lower: bytes, upper: bytes) -> Iterator[Change]:
        """Yield the changes with lower <= key < upper."""
        for _, entry in self._range(lower, upper):
            if isinstance(entry, Change):
                yield entry

    def _range(self, lower: bytes, upper: bytes) -> list[tuple[bytes, Entry]]:
        group = self._groups[group_of(lower)]
        return sorted([item for item in group.items() if lower <= item[0] < upper], key=lambda item: item[0])

    def note(self, effect: NoteInterest, now: datetime) -> list[ProductChanged]:
        """Store an interest, and return the events of changes that the customer has missed."""
        return ProductIndex(self, now, self._kinds).note(effect)

    def compare(self, version: ProductVersion, now: datetime) -> list[ProductChanged]:
        """Store a version of a product, and return the events of all customers whom its changes concern."""
        index = ProductIndex(self, now, self._kinds)
        changes = index.compare(version)
        if version.replaces:
            changes += index.compare_replacement(version)
        return [
            change.event_of(customer_of(key))
            for change in changes
            for key, entry in self._range(*interests_of(change.about))
            if isinstance(entry, Interest) and is_notified(change, entry)
        ]
