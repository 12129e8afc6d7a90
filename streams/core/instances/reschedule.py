"""Runs that wait for a moment which has been moved since: a delivery promised for another day, something that runs out later."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.wait_times import awaited_moment, end_of
from streams.core.instances.waiting import all_but, let_wait
from streams.core.model.customer import Instance
from streams.core.model.flow import MOMENT_OF, Wait
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import local_time


def follow_moments(uow: UnitOfWork) -> None:
    """Let the runs that wait for a moment wait for it where it is now; whoever waited only because it was not known, too."""
    for instance in uow.instances:
        if instance.awaits.startswith(MOMENT_OF):
            _follow(uow, instance)


def _follow(uow: UnitOfWork, instance: Instance) -> None:
    program = uow.ruleset.program(instance.flow, instance.flow_version, instance.step)
    path = instance.awaits.removeprefix(MOMENT_OF).partition(" ")[0]
    step = program.steps.get(path) if program is not None else None
    if program is None or not isinstance(step, Wait):
        return
    order = uow.order(instance.order_id)
    context = EvalContext(uow, order, order.parcel(instance.parcel_id) if order is not None else None, instance.about)
    awaits = awaited_moment(step, context)
    if awaits == instance.awaits or awaits.endswith(" "):  # of one that is known no more the last is the best guess
        return
    due_at = end_of(uow, step, uow.now, context)
    words = f"the moment that step {path} waits for has been moved; goes on at {local_time.text_of(due_at)}"
    uow.decide(
        program.flow, instance.instance_id, path, "schedule", "moment_moved", words, order_id=instance.order_id or None, moment=awaits
    )  # fmt: skip
    others, waiting = all_but(uow, instance.instance_id), replace(instance, due_at=due_at, awaits=awaits)
    if due_at == instance.due_at:  # it has its timer
        uow.instances = (*others, waiting)
    else:
        let_wait(uow, waiting, others)
