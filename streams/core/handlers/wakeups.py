"""Handlers of events that wake a waiting instance: its timer, and the code that it waits for."""

from __future__ import annotations

from streams.core.instances.resume import continue_from, ready
from streams.core.instances.waiting import all_but, waiting_run
from streams.core.model.events import CodeGranted, StepDue
from streams.core.model.flow import CODE_OF, DAY_STEP, LOOK_STEP, MOMENT_OF, Reward, WaitFor
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers import rewards
from streams.core.triggers.dates import begin_day
from streams.core.triggers.launches import begin_launch


def wake(uow: UnitOfWork, event: StepDue) -> None:
    """Go on with the instance that waits for this very timer. A timer nobody waits for changes nothing."""
    instance = waiting_run(uow, event.instance_id)
    if instance is None or instance.step != event.step or instance.due_at != event.due_at:
        return
    if instance.step == DAY_STEP:
        (begin_launch if instance.is_launch else begin_day)(uow, instance)
        return
    if instance.step == LOOK_STEP:  # to look is what a turn ends with that changes anything (see segments.py)
        uow.instances = all_but(uow, instance.instance_id)
        uow.changed = True
        return
    resumed = ready(uow, instance)
    if resumed is None:
        return
    program, instance, context = resumed
    step, path = program.steps[instance.step], instance.step
    following: str | None = path
    if instance.awaits.startswith(CODE_OF):
        if isinstance(step, Reward) and instance.awaits == CODE_OF + step.pool:
            words = f"no code of the pool {step.pool} came in time; goes on without one"
            order_id = instance.order_id or None
            uow.decide(program.flow, instance.instance_id, path, "skip", "pool_empty", words, order_id=order_id)
            following = program.following[path]
    elif isinstance(step, WaitFor) and instance.awaits and not instance.awaits.startswith(MOMENT_OF):
        following = program.way(step, 1)
    continue_from(uow, program, instance, context, uow.now, following)


def take_code(uow: UnitOfWork, event: CodeGranted) -> None:
    """Go on with the instance that waits for this code. One that nobody waits for any more is logged; one told twice changes nothing."""
    if not uow.is_first_time("code", event.pool, event.reward_id):
        return
    place = (event.instance_id, event.step, CODE_OF + event.pool)
    instance = next((one for one in uow.instances if (one.instance_id, one.step, one.awaits) == place), None)
    if instance is None:
        rewards.too_late(uow, event, "the run ended or went on without it")
        return
    resumed = ready(uow, instance)
    if resumed is None:
        rewards.too_late(uow, event, "the run ended before it came")
        return
    program, instance, context = resumed
    step, path = program.steps[instance.step], instance.step
    if isinstance(step, Reward) and step.pool == event.pool and program.flow.status != "draft":
        instance = rewards.take(uow, program.flow, instance, step, event)
        continue_from(uow, program, instance, context, uow.now, program.following[path])
    else:
        rewards.too_late(uow, event, "the flow was changed and no longer gives it there")
        continue_from(uow, program, instance, context, uow.now, path)
