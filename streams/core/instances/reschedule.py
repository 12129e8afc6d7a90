"""Runs that wait for a moment which has been moved since: a delivery promised for another day, something that runs out later."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.wait_times import awaited_target, ends_at
from streams.core.instances.waiting import other_instances, suspend
from streams.core.model.customer import Instance
from streams.core.model.flow import MOMENT_OF, Wait
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import local_time


def reschedule_waits(uow: UnitOfWork) -> None:
    """Let the runs that wait for a moment wait for it where it is now; whoever waited only because it was not known, too."""
    for instance in uow.instances:
        if instance.awaits.startswith(MOMENT_OF):
            _follow(uow, instance)


def _follow(uow: UnitOfWork, instance: Instance) -> None:
    compiled = uow.ruleset.find_flow(instance.flow, instance.flow_version, instance.step)
    path = instance.awaits.removeprefix(MOMENT_OF).partition(" ")[0]
    step = compiled.steps.get(path) if compiled is not None else None
    if compiled is None or not isinstance(step, Wait):
        return
    order = uow.order(instance.order_id)
    context = EvalContext(uow, order, order.parcel(instance.parcel_id) if order is not None else None, instance.about)
    awaits = awaited_target(step, context)
    if awaits == instance.awaits or awaits.endswith(" "):  # of one that is known no more the last is the best guess
        return
    due_at = ends_at(uow, step, uow.now, context)
    words = f"the moment that step {path} waits for has been moved; goes on at {local_time.text_of(due_at)}"
    uow.decide(
        compiled.flow, instance.instance_id, path, "schedule", "moment_moved", words, order_id=instance.order_id or None, moment=awaits
    )  # fmt: skip
    others, waiting = other_instances(uow, instance.instance_id), replace(instance, due_at=due_at, awaits=awaits)
    if due_at == instance.due_at:  # it has its timer
        uow.instances = (*others, waiting)
    else:
        suspend(uow, waiting, others)
