"""What the carrier's news of parcels does to the customer."""

from __future__ import annotations

from streams.core.instances.exits import exit_instances_on
from streams.core.model.customer import OrderState, Parcel
from streams.core.model.events import ShipmentUpdated
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.triggers.dispatch import happened

# Of two statuses of the same moment the later in a parcel's life is the newer.
_LIFE = ("created", "shipped", "delayed", "out_for_delivery", "delivered", "returned")


def on_shipment(uow: UnitOfWork, event: ShipmentUpdated) -> None:
    """Take in a parcel's news. Without the order nobody can be written to, so the news waits for it."""
    before = uow.order(event.order_id)
    if before is None and uow.has_forgotten(event.order_id):
        words = f"more than {uow.ruleset.limits.orders} orders; this one is no longer remembered"
        uow.hit_limit("orders", words, event.order_id, event.parcel_id, event.status)
        return
    known = before or OrderState(event.order_id)
    old = known.parcel(event.parcel_id)
    if old is None and len(known.parcels) >= uow.ruleset.limits.parcels_per_order:
        words = f"more than {uow.ruleset.limits.parcels_per_order} parcels in one order"
        uow.hit_limit("parcels_per_order", words, event.order_id, event.parcel_id)
        return
    most = uow.ruleset.limits.lines_per_order
    parcel = _merge(old, event, most)
    count, count_at = known.parcels_in_order, known.parcels_at
    if count_at is None or (event.occurred_at, event.parcels_in_order) > (count_at, count):
        count, count_at = event.parcels_in_order, event.occurred_at
    parcels = tuple(sorted([*(one for one in known.parcels if one is not old), parcel], key=_by_id))
    after = OrderState(
        known.order_id,
        known.facts,
        known.facts_at,
        known.placed,
        known.cancelled_at,
        known.refunded_at,
        known.converted_minor,
        parcels,
        count,
        count_at,
        known.attributed_to,
        known.paid_at,
    )
    if after == before:
        return
    if len(event.lines) > most:
        words = f"{len(event.lines)} lines in a parcel; the first {most} are remembered"
        uow.hit_limit("lines_per_parcel", words, event.order_id, event.parcel_id)
    uow.put_order(after)
    if after.facts is None:
        return
    if event.status == "returned":
        exit_instances_on(uow, "shipment.returned", event.order_id)
    happened(uow, f"shipment.{event.status}", after, parcel, event.occurred_at)


def _by_id(parcel: Parcel) -> str:
    return parcel.parcel_id


def _merge(old: Parcel | None, event: ShipmentUpdated, most_lines: int) -> Parcel:
    reached = dict(old.reached) if old else {}
    reached[event.status] = min(reached.get(event.status, event.occurred_at), event.occurred_at)
    moments = tuple(sorted(reached.items(), key=lambda item: (item[1], item[0])))
    if old is not None and (event.occurred_at, _LIFE.index(event.status)) < (old.at, _LIFE.index(old.status)):
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
            moments,
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
        tuple([(line.sku, line.quantity) for line in event.lines[:most_lines]]),
        moments,
    )
