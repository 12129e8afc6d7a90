"""Reschedule waits whose target time has changed, for example a delivery that is promised for another day.

A flow that started at the delivery of the last parcel starts over if a parcel was added since.
"""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.steps.execution import Execution
from streams.core.instances.steps.wait import Wait, awaited_target, ends_at
from streams.core.instances.waiting import drop_instance, other_instances, suspend
from streams.core.model.instance import JOINED_ID, Instance, awaits_target
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import ids, local_time


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


def waits_for_parcels(execution: Execution) -> bool:
    """Return whether an instance waits that all parcels started, a parcel was added since, and no email or code has left yet."""
    trigger, order, instance = execution.flow.trigger, execution.context.order, execution.instance
    if trigger.which != "last" or order is None or order.all_parcels(trigger.on.partition(".")[2]):
        return False
    if any(name == JOINED_ID for name, _ in instance.trigger_data):
        return False
    sent = {send.send_id for send in execution.uow.sends}
    return not instance.reward and sent.isdisjoint(
        [ids.send_id(instance.instance_id, path) for path in execution.compiled.steps]
    )


def start_over(execution: Execution) -> None:
    """Drop an instance that a later event of a parcel starts again."""
    uow, flow, instance = execution.uow, execution.flow, execution.instance
    status = flow.trigger.on.partition(".")[2]
    detail = f"a parcel was added; the flow starts over when all parcels are {status}"
    uow.decisions(flow, instance).schedule("parcel_added", detail, repeat=local_time.text_of(instance.due_at))
    uow.last_starts = tuple([start for start in uow.last_starts if start.at != instance.started_at])
    drop_instance(uow, instance.instance_id)
