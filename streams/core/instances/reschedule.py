"""Reschedule waits whose target time has changed, for example a delivery that is promised for another day."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.wait_times import awaited_target, ends_at
from streams.core.instances.waiting import other_instances, suspend
from streams.core.model.instance import Instance, awaits_target
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Wait
from streams.core.values import local_time


def reschedule_waits(uow: UnitOfWork) -> None:
    """Move each instance that waits for a target time to the time as it is known now.

    This includes instances that wait for a default span because their target time was unknown.
    """
    for instance in uow.instances:
        if instance.awaits and instance.awaited_target:
            reschedule(uow, instance)


def reschedule(uow: UnitOfWork, instance: Instance) -> None:
    """Move an instance that waits for a target time to the time as it is known now."""
    compiled = uow.ruleset.find_flow(instance.flow, instance.flow_version, instance.step)
    path = instance.awaited_target
    wait = compiled.steps.get(path) if compiled is not None else None
    if compiled is None or not isinstance(wait, Wait):
        return
    order = uow.order(instance.order_id)
    parcel = order.parcel(instance.parcel_id) if order is not None else None
    context = EvalContext(uow, order, parcel, instance.trigger_data)
    awaits = awaited_target(wait, context)
    # If the time has become unknown, the last known one is the best estimate.
    if awaits in (instance.awaits, awaits_target(path, None)):
        return
    due_at = ends_at(uow, wait, uow.now, context)
    detail = f"the time that step {path} waits for has changed; continues at {local_time.text_of(due_at)}"
    uow.decisions(compiled.flow, instance, path).schedule("moment_moved", detail, repeat=awaits)
    others, waiting = other_instances(uow, instance.instance_id), replace(instance, due_at=due_at, awaits=awaits)
    if due_at == instance.due_at:  # the timer of this time exists already
        uow.instances = (*others, waiting)
    else:
        suspend(uow, waiting, others)
