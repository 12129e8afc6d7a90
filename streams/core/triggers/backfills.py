"""Backfills: a flow on a segment or threshold starts for the customers who were in it already when the flow went live.

It happens only if the trigger asks for it. A walk over the stored customers gives each of them a timer. When it fires, the segments of the
customer are checked as after any event.
"""

from __future__ import annotations

from datetime import datetime

from streams.core.instances.start import has_instance, instance_id_of
from streams.core.instances.waiting import timer_of
from streams.core.model.customer import Customer
from streams.core.model.effects import ScheduleTimer
from streams.core.model.events import TimerFired
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Flow, membership
from streams.core.rules.ruleset import Ruleset
from streams.core.triggers.audiences import is_member, time_in_spread
from streams.core.values import local_time

#: The step of a timer that starts a flow for a member of its segment. No instance has such a step.
BACKFILL_STEP = "@backfill"


def backfill_timer(ruleset: Ruleset, state: Customer, flow: Flow, now: datetime) -> ScheduleTimer | None:
    """Return the timer that starts a flow for a customer who is in its segment.

    Args:
        ruleset: the flows and the shop's rules.
        state: the customer.
        flow: a flow on a segment or a threshold.
        now: the time of the walk, UTC.

    Returns:
        The timer, or None if the customer is not in the segment, is an alias, or entered the segment while the flow was live.
    """
    name = membership(flow)
    if name in state.segments or state.is_alias:
        return None
    uow = UnitOfWork(ruleset, state, now)
    instance_id = instance_id_of(uow, flow.name, "customer")
    if not is_member(uow, flow) or has_instance(uow, instance_id):
        return None
    due_at = local_time.round_up(now + time_in_spread(uow, flow))
    return timer_of(state.customer_id, instance_id, flow.name, BACKFILL_STEP, due_at)


def start_backfill(uow: UnitOfWork, event: TimerFired) -> None:
    """Let the customer enter the segment of the flow whose timer has fired, unless they have left it, or entered it by an event meanwhile."""
    compiled = uow.ruleset.newest_flow(event.flow)
    if compiled is None or not compiled.flow.trigger.backfill or membership(compiled.flow) in uow.segments:
        return
    flow = compiled.flow
    if not is_member(uow, flow):
        log = uow.decisions_of(flow.name, flow.version, event.instance_id, compiled.first or "")
        log.skip("left_segment", "the customer is no longer in the segment of the flow", repeat=event.step)
        return
    uow.changed = True  # every event that changes the customer ends with a check of the segments, which starts the flow
