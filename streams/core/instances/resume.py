"""Going on with runs that wait: at their time, with their code, at the event that they wait for."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext, TriggerData
from streams.core.instances.exits import exit_instance, exit_reason, has_reached_goal, log_missing_flow, remove_instance
from streams.core.instances.migrate import WAS, migrated, settle
from streams.core.instances.steps import execute_steps
from streams.core.instances.waiting import other_instances, suspend
from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.customer import Instance, OrderState, Parcel
from streams.core.model.flow import WaitFor
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import ids


def resume(
    uow: UnitOfWork,
    name: str,
    order: OrderState | None,
    parcel: Parcel | None,
    at: datetime,
    about: TriggerData,
    send_id: str | None,
) -> None:
    """Go on with the instances that wait for this event."""
    for instance in uow.instances:
        if instance.awaits != name or not _is_meant(uow, instance, name, order, send_id):
            continue
        moved = migrated(uow, instance)
        compiled = uow.ruleset.find_flow(moved.flow, moved.flow_version, moved.step)
        step = compiled.steps[moved.step] if compiled is not None else None
        if compiled is None or not isinstance(step, WaitFor):
            continue
        if parcel is not None and compiled.flow.trigger.once_per == "parcel" and parcel.parcel_id != moved.parcel_id:
            continue
        own = uow.order(instance.order_id) if instance.order_id else order
        if own is None and instance.order_id:
            continue  # no longer remembered: that is told when its time is up
        told = (*about, *(known for known in moved.about if known[0] not in dict(about)))
        parcel_id = parcel.parcel_id if parcel is not None else moved.parcel_id
        context = EvalContext(uow, own, own.parcel(parcel_id) if own is not None else None, told)
        context.reward = moved.reward
        if step.where is None or step.where.holds(context):
            path = compiled.branch(step, 0)
            settle(uow, instance, moved)
            if has_reached_goal(compiled.flow, context):
                exit_instance(uow, compiled.flow, moved, "goal")
                continue
            continue_from(
                uow, compiled, replace(moved, about=told, parcel_id=parcel_id), context, min(at, uow.now), path
            )


def _is_meant(uow: UnitOfWork, instance: Instance, name: str, order: OrderState | None, send_id: str | None) -> bool:
    """Whether an event is one of those that the instance waits for: of its own order, or its own mails."""
    if name.startswith("mail."):
        steps = [sent.step for sent in uow.sends if sent.send_id == send_id]
        own = [instance.instance_id, *(value for name, value in instance.about if name == WAS)]
        return any(ids.send_id(run, step) == send_id for run in own for step in steps)
    if name == "order.placed":  # any of the customer's, since the flow began
        facts = order.facts if order is not None else None
        return facts is not None and facts.placed_at >= instance.started_at
    if name == "survey.answered":
        return True
    return order is not None and order.order_id == instance.order_id


def ready(uow: UnitOfWork, instance: Instance) -> tuple[CompiledFlow, Instance, EvalContext] | None:
    """The waiting instance as it goes on now, its flow, and what conditions may look at; None if it ends here, for a reason that is logged."""
    instance = settle(uow, instance, migrated(uow, instance))
    compiled = uow.ruleset.find_flow(instance.flow, instance.flow_version, instance.step)
    order = uow.order(instance.order_id)
    if compiled is None:
        remove_instance(uow, instance.instance_id)
        log_missing_flow(uow, instance)
        return None
    flow = compiled.flow
    if order is None and instance.order_id:
        words = f"more than {uow.ruleset.limits.orders} orders; this one is no longer remembered"
        uow.decide(flow, instance.instance_id, instance.step, "limit", "orders", words, order_id=instance.order_id)
        remove_instance(uow, instance.instance_id)
        return None
    context = EvalContext(uow, order, order.parcel(instance.parcel_id) if order is not None else None, instance.about)
    reason = exit_reason(context, flow, instance.started_at)
    if reason is not None:
        exit_instance(uow, flow, instance, reason)
        return None
    return compiled, instance, context


def continue_from(
    uow: UnitOfWork, compiled: CompiledFlow, instance: Instance, context: EvalContext, start: datetime, path: str | None
) -> None:
    """Take an instance that waited on from `path`."""
    waiting = execute_steps(uow, compiled, instance, context, start, path)
    if waiting is not None:
        suspend(uow, waiting, other_instances(uow, waiting.instance_id))
    else:
        remove_instance(uow, instance.instance_id)
