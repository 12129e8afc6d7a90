"""Handlers of events that wake a waiting instance: its timer, and the code that it waits for."""

from __future__ import annotations

from streams.core.instances.resume import continue_from, ready
from streams.core.instances.waiting import find_instance, other_instances
from streams.core.model.events import CodeGranted, TimerFired
from streams.core.model.flow import CODE_OF, DAY_STEP, LOOK_STEP, MOMENT_OF, Reward, WaitFor
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers import rewards
from streams.core.triggers.dates import start_on_date
from streams.core.triggers.launches import start_on_launch


def on_timer(uow: UnitOfWork, event: TimerFired) -> None:
    """Go on with the instance that waits for this very timer. A timer nobody waits for changes nothing."""
    instance = find_instance(uow, event.instance_id)
    if instance is None or instance.step != event.step or instance.due_at != event.due_at:
        return
    if instance.step == DAY_STEP:
        (start_on_launch if instance.is_launch else start_on_date)(uow, instance)
        return
    if instance.step == LOOK_STEP:  # to look is what a turn ends with that changes anything (see segments.py)
        uow.instances = other_instances(uow, instance.instance_id)
        uow.changed = True
        return
    resumed = ready(uow, instance)
    if resumed is None:
        return
    compiled, instance, context = resumed
    step, path = compiled.steps[instance.step], instance.step
    following: str | None = path
    if instance.awaits.startswith(CODE_OF):
        if isinstance(step, Reward) and instance.awaits == CODE_OF + step.pool:
            words = f"no code of the pool {step.pool} came in time; goes on without one"
            order_id = instance.order_id or None
            uow.decide(compiled.flow, instance.instance_id, path, "skip", "pool_empty", words, order_id=order_id)
            following = compiled.next_step[path]
    elif isinstance(step, WaitFor) and instance.awaits and not instance.awaits.startswith(MOMENT_OF):
        following = compiled.branch(step, 1)
    continue_from(uow, compiled, instance, context, uow.now, following)


def on_code_granted(uow: UnitOfWork, event: CodeGranted) -> None:
    """Go on with the instance that waits for this code. One that nobody waits for any more is logged; one told twice changes nothing."""
    if not uow.is_new("code", event.pool, event.reward_id):
        return
    place = (event.instance_id, event.step, CODE_OF + event.pool)
    instance = next((one for one in uow.instances if (one.instance_id, one.step, one.awaits) == place), None)
    if instance is None:
        rewards.log_late_grant(uow, event, "the run ended or went on without it")
        return
    resumed = ready(uow, instance)
    if resumed is None:
        rewards.log_late_grant(uow, event, "the run ended before it came")
        return
    compiled, instance, context = resumed
    step, path = compiled.steps[instance.step], instance.step
    if isinstance(step, Reward) and step.pool == event.pool and compiled.flow.status != "draft":
        instance = rewards.give_granted_code(uow, compiled.flow, instance, step, event)
        continue_from(uow, compiled, instance, context, uow.now, compiled.next_step[path])
    else:
        rewards.log_late_grant(uow, event, "the flow was changed and no longer gives it there")
        continue_from(uow, compiled, instance, context, uow.now, path)
