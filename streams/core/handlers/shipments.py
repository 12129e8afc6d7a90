"""Handler of shipment events: the status of a parcel."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.handlers import order_memory
from streams.core.instances.exits import exit_instances_on
from streams.core.instances.occurrence import Occurrence
from streams.core.instances.start import start_flows
from streams.core.model.events import ShipmentUpdated
from streams.core.model.orders.order import TRACKED, Parcel
from streams.core.model.orders.order_state import OrderState
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.triggers.dispatch import dispatch
from streams.core.values.parcel_statuses import STATUS_ORDER


def on_shipment(uow: UnitOfWork, event: ShipmentUpdated) -> None:
    """Update the parcel, then start and resume flows. While the order is unknown the parcel is only stored: flows need the order."""
    before = uow.order(event.order_id)
    if before is None and (forgotten := order_memory.forgotten(uow, event.order_id)):
        if forgotten == "open":
            _on_parcel_of_forgotten_order(uow, event)
        return  # all parcels of a closed order are known
    order = before or OrderState(event.order_id)
    old = order.parcel(event.parcel_id)
    if old is None and len(order.parcels) >= uow.ruleset.limits.parcels_per_order:
        detail = f"more than {uow.ruleset.limits.parcels_per_order} parcels in one order"
        uow.hit_limit("parcels_per_order", detail, event.order_id, event.parcel_id)
        return
    max_lines = uow.ruleset.limits.lines_per_order
    parcel = _merge(old, event, max_lines)
    if old is not None and not old.lines and replace(parcel, lines=()) == old:
        parcel = old  # the state may have dropped the lines
    count, count_at = order.parcels_in_order, order.parcels_at
    if count_at is None or (event.occurred_at, event.parcels_in_order) > (count_at, count):
        count, count_at = event.parcels_in_order, event.occurred_at
    parcels = tuple(sorted([*(other for other in order.parcels if other is not old), parcel], key=_by_id))
    after = replace(order, parcels=parcels, parcels_in_order=count, parcels_at=count_at)
    if after == before:
        return
    if len(event.lines) > max_lines:
        detail = f"{len(event.lines)} lines in a parcel; the first {max_lines} are stored"
        uow.hit_limit("lines_per_parcel", detail, event.order_id, event.parcel_id)
    uow.put_order(after)
    if after.facts is None:
        return
    exit_instances_on(uow, f"shipment.{event.status}", event.order_id)
    if event.status == "returned_to_sender":
        exit_instances_on(uow, "shipment.returned", event.order_id)
    dispatch(uow, Occurrence(f"shipment.{event.status}", after, parcel, event.occurred_at))
    if parcel.has(TRACKED) and not (old is not None and old.has(TRACKED)):
        dispatch(uow, Occurrence(f"shipment.{TRACKED}", after, parcel, event.occurred_at))


def _on_parcel_of_forgotten_order(uow: UnitOfWork, event: ShipmentUpdated) -> None:
    """Start transactional flows for a parcel of an open order that is no longer stored, from what the event says.

    They start once per status, and once when the tracking becomes known.
    """
    parcel = _merge(None, event, uow.ruleset.limits.lines_per_order)
    order = OrderState(event.order_id, placed=True, parcels=(parcel,), parcels_in_order=event.parcels_in_order)
    for status in (event.status, *((TRACKED,) if parcel.has(TRACKED) else ())):
        if order_memory.is_new_parcel(uow, event.order_id, event.parcel_id, status):
            occurrence = Occurrence(f"shipment.{status}", order, parcel, event.occurred_at)
            start_flows(uow, occurrence, only_transactional=True)


def _by_id(parcel: Parcel) -> str:
    return parcel.parcel_id


def _merge(old: Parcel | None, event: ShipmentUpdated, max_lines: int) -> Parcel:
    reached = dict(old.reached) if old else {}
    reached[event.status] = min(reached.get(event.status, event.occurred_at), event.occurred_at)
    times = tuple(sorted(reached.items(), key=lambda item: (item[1], item[0])))
    if old is not None and (event.occurred_at, STATUS_ORDER.index(event.status)) < (
        old.at,
        STATUS_ORDER.index(old.status),
    ):
        return Parcel(
            old.parcel_id,
            old.status,
            old.at,
            old.carrier,
            old.tracking_number,
            old.tracking_url,
            old.window_from,
            old.window_to,
            old.lines,
            times,
            old.details,
        )
    return Parcel(
        event.parcel_id,
        event.status,
        event.occurred_at,
        event.carrier,
        event.tracking_number,
        event.tracking_url,
        event.window_from,
        event.window_to,
        tuple([(line.sku, line.quantity) for line in event.lines[:max_lines]]),
        times,
        event.details,
    )
