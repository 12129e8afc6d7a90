"""Orders that the state no longer stores: a row of fingerprints, one of each with what has happened to it.

A duplicate event of such an order must change nothing, so its entry says what must not happen again.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from streams.core.model.orders.order import TRACKED
from streams.core.model.orders.order_state import OrderState
from streams.core.values import fingerprints, ids

# The content of an entry: whether more parcels may come, and whether a cancellation (c) and a refund (r) were handled. The texts are part of
# stored fingerprints. Earlier versions wrote the first, and ignored all events of such an order.
_EARLIER = ""
_STATES = (_EARLIER, "closed", "closed c", "closed r", "closed cr", "open", "open c")
_HANDLED = {"order.cancelled": "c", "order.refunded": "r"}
Forgotten: TypeAlias = Literal["open", "closed"]


def add_order(row: bytes, most: int, order: OrderState, *, is_open: bool) -> bytes:
    """Return the row with an order that is dropped now, and with the events of its parcels if it is open."""
    # A payment may have overruled a cancellation, which must not cancel the order when it arrives again.
    handled = "c" if order.cancelled_at is not None or order.paid_at is not None else ""
    handled += "r" if order.refunded_at is not None else ""
    row = _with_state(row, most, order.order_id, "open" if is_open else "closed", handled)
    for parcel in order.parcels if is_open else ():
        for status in (*[name for name, _ in parcel.reached], *((TRACKED,) if parcel.has(TRACKED) else ())):
            row, _ = add_parcel(row, most, order.order_id, parcel.parcel_id, status)
    return row


def add_parcel(row: bytes, most: int, order_id: str, parcel_id: str, status: str) -> tuple[bytes, bool]:
    """Return the row with an event of a parcel, and whether that is new."""
    fingerprint = ids.fingerprint("order", order_id, parcel_id, status)
    return fingerprints.add(row, fingerprint, most), not fingerprints.contains(row, fingerprint)


def add_end(row: bytes, most: int, order_id: str, event: str) -> tuple[bytes, bool]:
    """Return the row after a cancellation or a refund of an order in it, and whether that is new."""
    state, mark = _find(row, order_id) or _EARLIER, _HANDLED[event]
    handled = state.partition(" ")[2]
    if state == _EARLIER or mark in handled:
        return row, False
    row = fingerprints.remove(row, _fingerprint(order_id, state))
    return _with_state(row, most, order_id, "closed", "".join(sorted({*handled, mark}))), True


def find(row: bytes, order_id: str) -> Forgotten | None:
    """Return whether more parcels of the order may come; None if the row does not have it."""
    state = _find(row, order_id) if row else None
    if state is None:
        return None
    return "open" if state.startswith("open") else "closed"


def _with_state(row: bytes, most: int, order_id: str, state: str, handled: str) -> bytes:
    return fingerprints.add(row, _fingerprint(order_id, f"{state} {handled}".strip()), most)


def _find(row: bytes, order_id: str) -> str | None:
    return next((state for state in _STATES if fingerprints.contains(row, _fingerprint(order_id, state))), None)


def _fingerprint(order_id: str, state: str) -> bytes:
    return ids.fingerprint("order", order_id, state) if state else ids.fingerprint("order", order_id)
