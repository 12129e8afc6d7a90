"""The orders that the state no longer stores: what is known of them, and whether an event about one of them is new."""

from __future__ import annotations

from datetime import datetime

from streams.core.model.orders import forgotten_orders
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import fingerprints


def is_new_parcel(uow: UnitOfWork, order_id: str, parcel_id: str, status: str) -> bool:
    """Return whether a parcel of a dropped order reaches a status for the first time, and store it."""
    row, most = uow.forgotten_order_fingerprints, uow.ruleset.limits.order_fingerprints
    uow.forgotten_order_fingerprints, is_new = forgotten_orders.add_parcel(row, most, order_id, parcel_id, status)
    uow.changed = uow.changed or is_new
    return is_new


def is_new_end(uow: UnitOfWork, order_id: str, event: str) -> bool:
    """Return whether a dropped order is cancelled, or refunded, for the first time, and store it."""
    row, most = uow.forgotten_order_fingerprints, uow.ruleset.limits.order_fingerprints
    uow.forgotten_order_fingerprints, is_new = forgotten_orders.add_end(row, most, order_id, event)
    uow.changed = uow.changed or is_new
    return is_new


def forgotten(uow: UnitOfWork, order_id: str) -> forgotten_orders.Forgotten | None:
    """Return whether more may happen to an order that was dropped; None if it is not known to have been stored."""
    return forgotten_orders.find(uow.forgotten_order_fingerprints, order_id)


def is_before_memory(uow: UnitOfWork, placed_at: datetime) -> bool:
    """Return whether an order of this time (UTC) may have been forgotten completely: even its fingerprint may have been replaced."""
    is_full = len(uow.forgotten_order_fingerprints) >= fingerprints.SIZE * uow.ruleset.limits.order_fingerprints
    return is_full and uow.forgotten_until is not None and placed_at <= uow.forgotten_until
