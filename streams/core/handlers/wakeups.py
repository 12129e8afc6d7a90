"""Handlers of events that wake a waiting instance: its timer, and the code that it waits for."""

from __future__ import annotations

from datetime import timedelta

from streams.core.instances.resume import continue_from, prepare
from streams.core.instances.waiting import find_instance, other_instances, schedule_timer
from streams.core.model.events import CodeGranted, TimerFired
from streams.core.model.instance import Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers import rewards
from streams.core.rules.flow import Reward, WaitFor
from streams.core.triggers.dates import start_on_date
from streams.core.triggers.launches import start_on_launch

#: A timer that fires earlier than this before its due time is scheduled again. Smaller differences are those between the clocks of two
#: processes, each of which may differ from the broker's by five minutes.
EARLY = timedelta(minutes=10)


def on_timer(uow: UnitOfWork, event: TimerFired) -> None:
    """Continue the instance that waits for this timer. A timer that no instance waits for changes nothing.

    A timer that fires far too early is scheduled again: the clock of the worker that fired it was ahead.
    """
    instance = find_instance(uow, event.instance_id)
    if instance is None or instance.step != event.step or instance.due_at != event.due_at:
        return
    if uow.now < instance.due_at - EARLY:
        schedule_timer(uow, instance, instance.due_at)
        return
    if instance.has_started:
        _continue(uow, instance)
    elif instance.waits_for_date:
        start_on_date(uow, instance)
    elif instance.waits_for_launch:
        start_on_launch(uow, instance)
    else:
        # Every event that changes the customer ends with a check of the segments, so this change is enough.
        uow.instances = other_instances(uow, instance.instance_id)
        uow.changed = True


def _continue(uow: UnitOfWork, instance: Instance) -> None:
    """Continue an instance whose timer has fired: its wait is over, or the code or event did not arrive in time."""
    execution = prepare(uow, instance)
    if execution is None:
        return
    compiled, instance = execution.compiled, execution.instance
    step = compiled.steps[instance.step]
    path: str | None = instance.step
    if isinstance(step, Reward) and instance.awaited_pool and instance.awaited_pool == step.pool:
        detail = f"no code of the pool {step.pool} arrived in time; continues without one"
        uow.decisions(compiled.flow, instance).skip("pool_empty", detail)
        path = compiled.next_step[instance.step]
    elif isinstance(step, WaitFor) and instance.awaited_event:
        path = compiled.branch(step, 1)
    continue_from(execution, path)


def on_code_granted(uow: UnitOfWork, event: CodeGranted) -> None:
    """Continue the instance that waits for this code. A code that no instance waits for is logged, once."""
    if not uow.is_new("code", event.pool, event.reward_id):
        return
    instance = find_instance(uow, event.instance_id)
    if instance is None or instance.step != event.step or instance.awaited_pool != event.pool:
        rewards.log_late_grant(uow, event, "the instance ended or continued without it")
        return
    execution = prepare(uow, instance)
    if execution is None:
        rewards.log_late_grant(uow, event, "the instance ended before the code arrived")
        return
    compiled, instance = execution.compiled, execution.instance
    step, path = compiled.steps[instance.step], instance.step
    if isinstance(step, Reward) and step.pool == event.pool and compiled.flow.status != "draft":
        execution.instance = rewards.give_granted_code(uow, compiled.flow, instance, step, event)
        continue_from(execution, compiled.next_step[path])
    else:
        rewards.log_late_grant(uow, event, "the flow was changed and no longer gives a code at this step")
        continue_from(execution, path)
