"""Watches: customers without an event since a flow on a segment went live, whom time alone will move into the segment or out of it.

Customers with an event have a check scheduled (see `segments.py`). A walk over the stored customers gives the others a timer for the time
of their next change. When it fires, their segments are checked as after an event, which schedules all further checks.
"""

from __future__ import annotations

from datetime import datetime

from streams.core.conditions.context import EvalContext
from streams.core.conditions.time_changes import next_change
from streams.core.instances.waiting import find_instance, timer_of
from streams.core.model.customer import Customer
from streams.core.model.effects import ScheduleTimer
from streams.core.model.events import TimerFired
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Flow, membership
from streams.core.rules.ruleset import Ruleset
from streams.core.triggers.segments import LONGEST
from streams.core.values import ids, local_time

#: The steps of a timer at which the segments of a customer are checked. With the second one, the customer was in the flow's segment at the
#: time of the walk. No instance has such a step.
WATCH_STEP, WATCH_MEMBER_STEP = "@watch", "@watch member"


def watch_timer(ruleset: Ruleset, state: Customer, flow: Flow, now: datetime) -> ScheduleTimer | None:
    """Return the timer at which time alone may move a customer into the segment of a flow, or out of it.

    Args:
        ruleset: the flows and the shop's rules.
        state: the customer.
        flow: a flow whose segment or threshold depends on time.
        now: the time of the walk, UTC.

    Returns:
        The timer, or None if time changes nothing, if the customer is an alias, or if a check is scheduled already.
    """
    name = membership(flow)
    condition = ruleset.watched_segments.get(name)
    if condition is None or state.is_alias:
        return None
    uow = UnitOfWork(ruleset, state, now)
    instance_id = ids.instance_id(state.customer_id, flow.name, "look")
    if find_instance(uow, instance_id) is not None:
        return None
    context = EvalContext(uow, None)
    changes_at = next_change(context, condition.time_dependencies, now)
    if changes_at is None:
        return None
    changes_at = min(changes_at, now + local_time.scale(LONGEST, ruleset.day_scale))
    step = WATCH_MEMBER_STEP if condition.holds(context) else WATCH_STEP
    return timer_of(state.customer_id, instance_id, flow.name, step, local_time.round_up(changes_at))


def check_watched(uow: UnitOfWork, event: TimerFired) -> None:
    """Let the segments of a customer be checked. One who was a member, and had no event since, counts as a member until now."""
    compiled = uow.ruleset.newest_flow(event.flow)
    if compiled is None:
        return
    name = membership(compiled.flow)
    if find_instance(uow, event.instance_id) is not None or name not in uow.ruleset.watched_segments:
        return  # an event has scheduled a check since, or the flow has another trigger now
    if event.step == WATCH_MEMBER_STEP and name not in uow.segments:
        uow.segments = tuple(sorted((*uow.segments, name)))
    uow.changed = True  # every event that changes the customer ends with a check of the segments
