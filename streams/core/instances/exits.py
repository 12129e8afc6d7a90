"""What ends a run of a flow: its exit events, its goal, its last step, or that the flow is gone."""

from __future__ import annotations

from datetime import datetime

from streams.core.conditions.context import EvalContext
from streams.core.instances.waiting import other_instances
from streams.core.model.customer import Instance, OrderState
from streams.core.model.effects import LogDecision
from streams.core.model.flow import Flow
from streams.core.model.unit_of_work import UnitOfWork, has_fingerprint
from streams.core.values import ids


def exit_instances_on(uow: UnitOfWork, name: str, order_id: str | None) -> None:
    """End the waiting instances that the event `name` ends: those of `order_id`, or all the customer's if it is None."""
    if name not in uow.ruleset.exits:
        return
    for instance in uow.instances:
        compiled = uow.ruleset.find_flow(instance.flow, instance.flow_version, instance.step)
        if compiled is None or name not in compiled.flow.exit_on:
            continue
        if order_id is not None and instance.order_id != order_id:
            continue
        order = uow.order(instance.order_id)
        if order is None and instance.order_id:
            continue
        reason = exit_event(uow, compiled.flow, order, instance.parcel_id, instance.started_at)
        if reason is not None:
            exit_instance(uow, compiled.flow, instance, reason)


def exit_reason(context: EvalContext, flow: Flow, started_at: datetime) -> str | None:
    """Why an instance goes no further: an exit event of its flow that has come true, or its goal."""
    parcel_id = context.parcel.parcel_id if context.parcel is not None else None
    ended = exit_event(context.uow, flow, context.order, parcel_id, started_at)
    return ended or ("goal" if has_reached_goal(flow, context) else None)


def exit_event(
    uow: UnitOfWork, flow: Flow, order: OrderState | None, parcel_id: str | None, started_at: datetime
) -> str | None:
    """The first of the flow's exit events that has come true by now. Without an order of its own a flow ends with any order's event; one for
    each parcel with that of its own."""
    is_of_parcel = flow.trigger.once_per == "parcel"
    for name in flow.exit_on:
        if name == "order.placed":  # another one since
            is_true = any(
                other.placed
                and (order is None or other.order_id != order.order_id)
                and other.facts is not None
                and other.facts.placed_at > started_at
                for other in uow.orders
            )
        elif name == "customer.unsubscribed":
            is_true = uow.consent.is_unsubscribed(flow.purpose)
        elif order is None:
            is_true = False
        elif name == "order.refunded":
            is_true = order.refunded_at is not None
        elif name == "order.paid":
            is_true = order.paid_at is not None
        elif name == "order.cancelled":
            is_true = order.cancelled_at is not None
        else:
            is_true = any(
                parcel.has("returned") and (parcel.parcel_id == parcel_id or not is_of_parcel)
                for parcel in order.parcels
            )
        if is_true:
            return name
    return None


def has_reached_goal(flow: Flow, context: EvalContext) -> bool:
    """Whether the goal of the flow, if it has one, has come true."""
    return flow.goal is not None and flow.goal.holds(context)


def exit_instance(uow: UnitOfWork, flow: Flow, instance: Instance, reason: str) -> None:
    """End an instance for a reason that is logged."""
    uow.decide(
        flow,
        instance.instance_id,
        instance.step,
        "exit",
        reason,
        f"left the flow: {reason}",
        order_id=instance.order_id or None,
    )
    remove_instance(uow, instance.instance_id)


def remove_instance(uow: UnitOfWork, instance_id: str) -> None:
    """Take an instance away from those that wait, for good."""
    uow.instances = other_instances(uow, instance_id)
    mark_finished(uow, instance_id)


def mark_finished(uow: UnitOfWork, instance_id: str) -> None:
    """Remember that a run came to its end, so that nothing starts it again."""
    uow.finished_fingerprints = uow.with_fingerprint(uow.finished_fingerprints, bytes.fromhex(instance_id)[:8])
    uow.changed = True


def is_finished(uow: UnitOfWork, instance_id: str) -> bool:
    """Whether a run is remembered to have come to its end."""
    return has_fingerprint(uow.finished_fingerprints, bytes.fromhex(instance_id)[:8])


def log_missing_flow(uow: UnitOfWork, instance: Instance) -> None:
    """Log that an instance ends because its flow, or this step of it, is gone."""
    uow.effects.append(
        LogDecision(
            decision_id=ids.decision_id(instance.instance_id, instance.step, "flow_gone"),
            customer_id=uow.customer_id,
            flow=instance.flow,
            flow_version=instance.flow_version,
            instance_id=instance.instance_id,
            step=instance.step,
            outcome="exit",
            rule="flow_gone",
            detail="the flow, or this step of it, is no longer there",
            send_id=None,
            order_id=instance.order_id or None,
            decided_at=uow.now,
        )
    )
