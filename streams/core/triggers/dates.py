"""Flows that start on a date of the customer's: a birthday, the anniversary of the first order, or an important date of the shop's record."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from streams.core.conditions.context import EvalContext
from streams.core.instances.exits import exit_instance, log_missing_flow
from streams.core.instances.start import instance_id_of, start_once
from streams.core.instances.waiting import drop_instance, find_instance, schedule_start, timer_of
from streams.core.model.customer import Customer, Profile
from streams.core.model.effects import ScheduleTimer
from streams.core.model.instance import Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import DATE_STEP, Flow
from streams.core.rules.ruleset import Ruleset
from streams.core.rules.trigger_names import BIRTHDAY, DATES, NAMED_DATE
from streams.core.values import ids, local_time

#: The rule of decisions about flows whose date was removed.
DATE_REMOVED = "date_removed"
#: The step of a timer at which the dates of a customer are scheduled. No instance has such a step.
DATES_STEP = "@dates"


def schedule_dates(uow: UnitOfWork) -> None:
    """Schedule each flow that starts on a date (see `flow.DATES`) for the next such date."""
    for name in sorted(DATES):  # a set has another order in every process, but effects need one
        for compiled in uow.ruleset.by_trigger.get(name, ()):
            _schedule_date(uow, compiled, uow.now)


def date_timer(ruleset: Ruleset, state: Customer, flow: Flow, now: datetime) -> ScheduleTimer | None:
    """Return the timer that schedules the next date of a customer who has had no event since the flow went live.

    Args:
        ruleset: the flows and the shop's rules.
        state: the customer.
        flow: a flow whose trigger is one of `DATES`.
        now: the time of the walk, UTC.

    Returns:
        The timer, or None if the customer is an alias, has no such date, or has its next day scheduled.
    """
    uow = UnitOfWork(ruleset, state, now)
    next_at = _next_begin(uow, flow, now)
    if next_at is None or state.is_alias:
        return None
    instance_id = ids.instance_id(state.customer_id, flow.name, "day")
    scheduled = find_instance(uow, instance_id)
    if scheduled is not None and (scheduled.due_at == next_at or scheduled.due_at <= now):
        return None
    return timer_of(state.customer_id, instance_id, flow.name, DATES_STEP, local_time.round_up(now))


def _date_of(uow: UnitOfWork, flow: Flow) -> date | None:
    """Return the customer's day that the flow starts on, or None if it is unknown."""
    if flow.trigger.on == NAMED_DATE:
        return uow.profile.traits.date(flow.trigger.date)
    if flow.trigger.on == BIRTHDAY:
        return uow.profile.birthday
    first_order = uow.first_order_at
    return first_order.astimezone(uow.zone_of(None)).date() if first_order is not None else None


def _next_begin(uow: UnitOfWork, flow: Flow, after: datetime) -> datetime | None:
    """Return when the day that the flow starts on begins next after `after` (UTC), or None if it is unknown."""
    date, before, day_scale = _date_of(uow, flow), flow.trigger.before, uow.ruleset.day_scale
    if date is None:
        return None
    if day_scale == 1.0:
        return local_time.next_day(date, after, uow.zone_of(None), before)
    first_order = None if flow.trigger.on in (BIRTHDAY, NAMED_DATE) else uow.first_order_at
    since = first_order or local_time.scaled_day(date, day_scale)
    return local_time.next_scaled_day(since, after, before, day_scale)


def _schedule_date(uow: UnitOfWork, compiled: CompiledFlow, after: datetime) -> None:
    flow = compiled.flow
    instance_id = ids.instance_id(uow.customer_id, flow.name, "day")
    scheduled = find_instance(uow, instance_id)
    if scheduled is not None:
        # If the scheduled date has come but its timer has not been processed yet, it is still the next date.
        after = min(after, scheduled.due_at - timedelta.resolution)
    due_at = _next_begin(uow, flow, after)
    if due_at is None:
        if scheduled is not None:  # the only order was cancelled, or the date was removed
            drop_instance(uow, instance_id)
        return
    if scheduled is None or scheduled.due_at != due_at:
        schedule_start(uow, flow, Instance(instance_id, flow.name, flow.version, "", None, DATE_STEP, due_at, uow.now))


def end_flows_of_removed_dates(uow: UnitOfWork, before: Profile) -> None:
    """End the started flows of a birthday or an important date that was removed.

    Args:
        uow: the customer after an event.
        before: the profile before it, which had the date.
    """
    removed = {
        (NAMED_DATE, each.name) for each in before.traits.dates if each.value and not uow.profile.traits.date(each.name)
    }
    if before.birthday is not None and uow.profile.birthday is None:
        removed.add((BIRTHDAY, ""))
    if not removed:
        return
    for instance in uow.instances:
        compiled = uow.ruleset.find_flow(instance.flow, instance.flow_version, instance.step)
        if instance.has_started and compiled is not None:
            trigger = compiled.flow.trigger
            if (trigger.on, trigger.date) in removed:
                exit_instance(uow, compiled.flow, instance, DATE_REMOVED)


def start_on_date(uow: UnitOfWork, scheduled: Instance) -> None:
    """Start the flow whose date has come, and schedule it for the next year."""
    drop_instance(uow, scheduled.instance_id)
    compiled = uow.ruleset.newest_flow(scheduled.flow)
    if compiled is None or compiled.flow.trigger.on not in DATES:
        log_missing_flow(uow, scheduled)
        return
    # The date is the key, because its midnight comes again for a customer whose time zone changes.
    date = scheduled.due_at.astimezone(uow.zone_of(None)).date()
    instance_id = instance_id_of(uow, compiled.flow.name, f"day/{date.isoformat()}")
    start_once(uow, compiled, instance_id, compiled.flow.trigger.on, EvalContext(uow, None), scheduled.due_at)
    _schedule_date(uow, compiled, max(uow.now, scheduled.due_at))
