"""Exits: what ends an instance before its last step, and the record of instances that have ended."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.matching import is_about
from streams.core.instances.occurrence import Occurrence
from streams.core.instances.waiting import drop_instance
from streams.core.model.instance import Instance
from streams.core.model.orders.order_state import OrderState
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Flow
from streams.core.rules.trigger_names import CART_EMPTIED, MOMENTARY
from streams.core.values import fingerprints
from streams.core.values.parcel_statuses import is_after


def exit_instances_on(uow: UnitOfWork, name: str, order_id: str | None) -> None:
    """End the waiting instances that have `name` among their exit events.

    Args:
        uow: the unit of work.
        name: the event, for example "order.cancelled".
        order_id: the order whose instances end, or None for all instances of the customer.
    """
    if name not in uow.ruleset.exits:
        return
    for instance in uow.instances:
        flow = _flow_with_exit(uow, instance, name)
        if flow is None:
            continue
        if order_id is not None and instance.order_id != order_id:
            continue
        order = uow.order(instance.order_id)
        if order is None and instance.order_id:
            continue
        reason = exit_event(uow, flow, order, instance.parcel_id, instance.started_at)
        if reason is not None:
            exit_instance(uow, flow, instance, reason)


def exit_on_occurrence(uow: UnitOfWork, instance: Instance, occurrence: Occurrence) -> bool:
    """End a waiting instance if an event that the state does not keep is among its exit events, and about it. Return whether it did."""
    flow = _flow_with_exit(uow, instance, occurrence.name)
    if flow is None or not instance.has_started:
        return False
    if not is_after(occurrence.name, occurrence.at, flow.trigger.on, instance.started_at):
        return False
    parcel, is_of_parcel = occurrence.parcel, flow.trigger.once_per == "parcel"
    if parcel is not None and is_of_parcel and parcel.parcel_id != instance.parcel_id:
        return False
    if not is_about(uow, instance, occurrence):
        return False
    exit_instance(uow, flow, instance, occurrence.name)
    return True


def _flow_with_exit(uow: UnitOfWork, instance: Instance, name: str) -> Flow | None:
    """Return the instance's flow if it has `name` among its exit events.

    Of a version that is newer than all here, an exit event is assumed that all versions here have. The others take effect when the
    instance is known, since the customer's state has what happened.
    """
    ruleset = uow.ruleset
    if ruleset.knows(instance.flow, instance.flow_version):
        compiled = ruleset.find_flow(instance.flow, instance.flow_version, instance.step)
        return compiled.flow if compiled is not None and name in compiled.flow.exit_on else None
    newest = ruleset.newest_flow(instance.flow)
    if newest is None or not all(name in each.flow.exit_on for each in ruleset.by_name[instance.flow].values()):
        return None
    return replace(newest.flow, version=instance.flow_version, exit_on=(name,))


def exit_reason(context: EvalContext, flow: Flow, started_at: datetime) -> str | None:
    """Return why an instance does not continue: an exit event of its flow, or "goal"; None if it continues."""
    parcel_id = context.parcel.parcel_id if context.parcel is not None else None
    event = exit_event(context.uow, flow, context.order, parcel_id, started_at)
    return event or ("goal" if has_reached_goal(flow, context) else None)


def exit_event(
    uow: UnitOfWork, flow: Flow, order: OrderState | None, parcel_id: str | None, started_at: datetime
) -> str | None:
    """Return the first exit event of the flow that has occurred, or None.

    Args:
        uow: the unit of work.
        flow: the flow.
        order: the instance's order. Without one, an order event of any order counts.
        parcel_id: the instance's parcel. It matters only if the flow starts once per parcel.
        started_at: when the instance started, UTC.
    """
    is_of_parcel = flow.trigger.once_per == "parcel"
    for name in flow.exit_on:
        if name == "order.placed":
            has_occurred = any(
                other.placed
                and not other.is_test
                and (order is None or other.order_id != order.order_id)
                and _is_placed_after(other, order, flow, started_at)
                for other in uow.orders
            )
        elif name == "customer.unsubscribed":
            has_occurred = uow.consent.is_unsubscribed(flow.purpose)
        elif name == CART_EMPTIED:
            emptied_at = uow.gateway.cart_emptied_at
            has_occurred = emptied_at is not None and emptied_at > started_at
        elif order is None:
            has_occurred = False
        elif name == "order.refunded":
            has_occurred = order.refunded_at is not None
        elif name == "order.paid":
            has_occurred = order.paid_at is not None
        elif name == "order.cancelled":
            has_occurred = order.cancelled_at is not None
        elif name == "shipment.returned":
            has_occurred = any(
                (parcel.has("returned") or parcel.has("returned_to_sender"))
                and (parcel.parcel_id == parcel_id or not is_of_parcel)
                for parcel in order.parcels
            )
        elif name in MOMENTARY:
            has_occurred = False
        else:
            has_occurred = any(
                status == name.removeprefix("shipment.") and is_after(name, at, flow.trigger.on, started_at)
                for parcel in order.parcels
                if parcel.parcel_id == parcel_id or not is_of_parcel
                for status, at in parcel.reached
            )
        if has_occurred:
            return name
    return None


def _is_placed_after(other: OrderState, order: OrderState | None, flow: Flow, started_at: datetime) -> bool:
    """Return whether another order was placed after the flow started.

    Of two orders of the same instant that start the flow, the one with the greater id counts as the later one, so that one flow goes on.
    """
    if other.facts is None:
        return False
    if order is not None and flow.trigger.on == "order.placed" and other.facts.placed_at == started_at:
        return other.order_id > order.order_id
    return other.facts.placed_at > started_at


def has_reached_goal(flow: Flow, context: EvalContext) -> bool:
    """Return whether the flow has a goal that holds."""
    return flow.goal is not None and flow.goal.holds(context)


def exit_instance(uow: UnitOfWork, flow: Flow, instance: Instance, reason: str) -> None:
    """End an instance early and log the reason."""
    uow.decisions(flow, instance).exit(reason, f"left the flow: {reason}")
    remove_instance(uow, instance.instance_id)


def remove_instance(uow: UnitOfWork, instance_id: str) -> None:
    """Remove an instance from the waiting ones and mark it as finished."""
    drop_instance(uow, instance_id)
    mark_finished(uow, instance_id)


def mark_finished(uow: UnitOfWork, instance_id: str) -> None:
    """Store that an instance has ended, so that no later event starts it again."""
    uow.finished_fingerprints = uow.with_fingerprint(uow.finished_fingerprints, fingerprint_of(instance_id))
    uow.changed = True


def is_finished(uow: UnitOfWork, instance_id: str) -> bool:
    """Return whether an instance is stored as finished."""
    return fingerprints.contains(uow.finished_fingerprints, fingerprint_of(instance_id))


def fingerprint_of(instance_id: str) -> bytes:
    """Return the fingerprint under which an instance is stored as finished: the id is a hash itself, so its first bytes serve."""
    return bytes.fromhex(instance_id)[: fingerprints.SIZE]


def log_missing_flow(uow: UnitOfWork, instance: Instance) -> None:
    """Log that an instance ends because its flow, or its step of the flow, was removed."""
    uow.decisions(None, instance).exit("flow_gone", "the flow, or this step of it, was removed")
