"""Orders that the state no longer stores: a row of fingerprints of them, and of what happened to them.

A duplicate event of such an order must change nothing, so the row has what must not happen twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from streams.core.model.customer import OrderState
from streams.core.values import fingerprints, ids

# The part of the fingerprint of an order that was open when it was dropped.
_OPEN = "open"


def add(row: bytes, most: int, order_id: str, *parts: str) -> tuple[bytes, bool]:
    """Return the row with one more entry, and whether that is new. Without `parts` the entry says that the order was closed."""
    fingerprint = _fingerprint(order_id, *parts)
    return fingerprints.add(row, fingerprint, most), not fingerprints.contains(row, fingerprint)


def add_order(row: bytes, most: int, order: OrderState, *, is_open: bool) -> bytes:
    """Return the row with an order that is dropped now."""
    for parts in _entries(order, is_open=is_open):
        row, _ = add(row, most, order.order_id, *parts)
    return row


def find(row: bytes, order_id: str) -> Literal["open", "closed"] | None:
    """Return whether the order was open or closed when it was dropped; None if the row does not have it."""
    if not row:
        return None
    if fingerprints.contains(row, _fingerprint(order_id)):
        return "closed"
    return "open" if fingerprints.contains(row, _fingerprint(order_id, _OPEN)) else None


def _entries(order: OrderState, *, is_open: bool) -> Iterator[tuple[str, ...]]:
    yield (_OPEN,) if is_open else ()
    # All parcels of a closed order have been handled, but it may be refunded later.
    for name, at in (("OrderCancelled", order.cancelled_at), ("OrderRefunded", order.refunded_at)):
        if at is not None:
            yield (name,)
    for parcel in order.parcels if is_open else ():
        for status, _ in parcel.reached:
            yield parcel.parcel_id, status


def _fingerprint(order_id: str, *parts: str) -> bytes:
    # That of a closed order is the one of earlier versions.
    return ids.fingerprint("order", order_id, *parts)
