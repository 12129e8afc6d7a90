"""Handlers of events that wake a waiting instance: its timer, and the code that it waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from streams.core.handlers.engagement import release_clicks
from streams.core.handlers.erasure import is_known
from streams.core.instances.occurrence import Occurrence
from streams.core.instances.reschedule import reschedule, start_over, waits_for_parcels
from streams.core.instances.resume import continue_from, prepare, resume
from streams.core.instances.steps.kinds import path_after_timer
from streams.core.instances.steps.reward import take_code
from streams.core.instances.unknown import hold, is_unknown, look_again, release, successor
from streams.core.instances.waiting import drop_instance, find_instance, other_instances, schedule_timer, suspend
from streams.core.model.events import CodeGranted, TimerFired
from streams.core.model.instance import CODE_GRANTED, HeldEvent, Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers import rewards
from streams.core.rules.flow import Reward
from streams.core.triggers.backfills import BACKFILL_STEP, start_backfill
from streams.core.triggers.campaigns import CAMPAIGN_STEP, start_campaign
from streams.core.triggers.dates import DATES_STEP, schedule_dates, start_on_date
from streams.core.triggers.expiry import start_on_expiry
from streams.core.triggers.launches import start_on_launch
from streams.core.triggers.watches import WATCH_STEP, check_watched

#: A timer that fires earlier than this before its due time is scheduled again. Smaller differences are those between the clocks of two
#: processes, each of which may differ from the broker's by five minutes.
EARLY = timedelta(minutes=10)
#: The functions for timers of walks, by the first word of their step. No instance waits for these timers.
_OF_WALKS: Mapping[str, Callable[[UnitOfWork, TimerFired], None]] = MappingProxyType(
    {
        CAMPAIGN_STEP: start_campaign,
        BACKFILL_STEP: start_backfill,
        WATCH_STEP: check_watched,
        DATES_STEP: lambda uow, event: schedule_dates(uow),
    }
)


def on_timer(uow: UnitOfWork, event: TimerFired) -> None:
    """Continue the instance that waits for this timer, and release clicks that are held until then. Another timer changes nothing.

    A timer that fires far too early is scheduled again: the clock of the worker that fired it was ahead. So is one whose instance is
    unknown here. Its next timers are due after the end of the wait, so any of them continues the instance where it is known.
    """
    if uow.held_clicks:
        release_clicks(uow, event.due_at)
    if (start := _OF_WALKS.get(event.step.partition(" ")[0])) is not None:
        if is_known(uow.state):
            start(uow, event)
        return
    instance = find_instance(uow, event.instance_id)
    if instance is None or instance.step != event.step:
        return
    if is_unknown(uow, instance):
        look_again(uow, instance, event.due_at)
        return
    if event.due_at < instance.due_at:
        return
    if uow.now < instance.due_at - EARLY:
        schedule_timer(uow, instance, instance.due_at)
        return
    if instance.has_started:
        held_until = _held_until(uow, instance)
        if held_until is not None:
            schedule_timer(uow, instance, held_until)
        else:
            continue_after_wait(uow, instance)
    elif instance.waits_for_date:
        start_on_date(uow, instance)
    elif instance.waits_for_expiry:
        start_on_expiry(uow, instance)
    elif instance.waits_for_launch:
        start_on_launch(uow, instance)
    else:
        # Every event that changes the customer ends with a check of the segments, so this change is enough.
        drop_instance(uow, instance.instance_id)


def _held_until(uow: UnitOfWork, instance: Instance) -> datetime | None:
    """Return until when clicks are held that may end an instance, or its wait in time, or None."""
    if instance.awaited_event != "mail.clicked" and not _ends_with_click(uow, instance):
        return None
    held = [click.due_at for click in uow.held_clicks if click.due_at is not None and click.at <= instance.due_at]
    return max(held, default=None)


def _ends_with_click(uow: UnitOfWork, instance: Instance) -> bool:
    """Return whether a click on an email of the instance's flow ends the instance."""
    if "mail.clicked" not in uow.ruleset.exits:
        return False
    compiled = uow.ruleset.find_flow(instance.flow, instance.flow_version, instance.step)
    return compiled is not None and "mail.clicked" in compiled.flow.exit_on


def continue_after_wait(uow: UnitOfWork, instance: Instance) -> None:
    """Continue an instance whose timer has fired: its wait is over, or the code or event did not arrive in time."""
    if instance.awaits and instance.awaited_target:
        # While the instance was unknown, its target time may have changed.
        reschedule(uow, instance)
        moved = find_instance(uow, instance.instance_id)
        if moved is None or moved.due_at != instance.due_at:
            return
        instance = moved
    execution = prepare(uow, instance)
    if execution is None:
        return
    if waits_for_parcels(execution):
        start_over(execution)
        return
    continue_from(execution, path_after_timer(execution))


def on_code_granted(uow: UnitOfWork, event: CodeGranted) -> None:
    """Continue the instance that waits for this code. A code that no instance waits for is logged, once."""
    if not uow.is_new("code", event.pool, event.reward_id):
        return
    instance = find_instance(uow, event.instance_id)
    if instance is None or instance.step != event.step or instance.awaited_pool != event.pool:
        rewards.log_late_grant(uow, event, "the instance ended or continued without it")
        return
    if event.reward_id != rewards.reward_id_of(instance, instance.step):
        rewards.log_late_grant(uow, event, "the claim was withdrawn, and the instance has claimed another code")
        return
    if is_unknown(uow, instance):
        hold(uow, instance, _held(uow, event))
        return
    give_code(uow, instance, event)


def give_code(uow: UnitOfWork, instance: Instance, event: CodeGranted) -> None:
    """Continue an instance with the code that it waits for."""
    execution = prepare(uow, instance)
    if execution is None:
        rewards.log_late_grant(uow, event, "the instance ended before the code arrived")
        return
    compiled, instance = execution.compiled, execution.instance
    step, path = compiled.steps[instance.step], instance.step
    if isinstance(step, Reward) and event.pool in step.all_pools and compiled.flow.status != "draft":
        result = take_code(execution, step, event)
        if isinstance(result, Instance):
            suspend(uow, result, other_instances(uow, instance.instance_id))
        else:
            continue_from(execution, result)
    else:
        rewards.log_late_grant(uow, event, "the flow was changed and no longer gives a code at this step")
        continue_from(execution, path)


def _held(uow: UnitOfWork, event: CodeGranted) -> HeldEvent:
    """Return a granted code in the form in which an instance keeps it."""
    data = (
        ("reward_id", event.reward_id),
        ("pool", event.pool),
        ("code", event.code),
        ("expires_at", event.expires_at.isoformat() if event.expires_at is not None else ""),
    )
    return HeldEvent(CODE_GRANTED, event.occurred_at, uow.now, event.order_id, data=data)


def _granted(uow: UnitOfWork, instance: Instance, held: HeldEvent) -> CodeGranted:
    """Return the granted code that `_held` made `held` of."""
    data = dict(held.data)
    return CodeGranted(
        customer_id=uow.customer_id,
        reward_id=data["reward_id"],
        pool=data["pool"],
        flow=instance.flow,
        flow_version=instance.flow_version,
        instance_id=instance.instance_id,
        step=instance.step,
        order_id=held.order_id,
        code=data["code"],
        expires_at=datetime.fromisoformat(data["expires_at"]) if data["expires_at"] else None,
        occurred_at=held.at,
    )


def replay_held_events(uow: UnitOfWork) -> None:
    """Process the events that instances kept while they were unknown here, in the order in which they arrived."""
    for instance in uow.instances:
        if instance.is_holding and not is_unknown(uow, instance):
            for held in release(uow, instance):
                _replay(uow, instance, held)


def _replay(uow: UnitOfWork, holder: Instance, held: HeldEvent) -> None:
    """Process one event for `holder`, or for the instance that it has become."""
    instance = successor(uow, holder.instance_id)
    if instance is not None and instance.due_at <= held.held_at:  # its wait was over before the event arrived
        continue_after_wait(uow, instance)
        instance = successor(uow, holder.instance_id)
    if instance is None:
        if held.name == CODE_GRANTED:
            rewards.log_late_grant(uow, _granted(uow, holder, held), "the instance ended before the code arrived")
        return
    if held.name == CODE_GRANTED:
        event = _granted(uow, holder, held)
        if instance.awaited_pool == event.pool and instance.step == holder.step:
            give_code(uow, instance, event)
        else:
            rewards.log_late_grant(uow, event, "the instance continued without it")
        return
    order = uow.order(held.order_id) if held.order_id is not None else None
    parcel = order.parcel(held.parcel_id) if order is not None else None
    resume(uow, instance, Occurrence(held.name, order, parcel, held.at, held.data, held.send_id))
