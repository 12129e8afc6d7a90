"""Campaigns: flows that start at a moment of the calendar for the members of a segment, spread over a time.

A walk over the stored customers hands each of them to `campaign_timer` once. Its timer is due at the customer's own moment, and fires like
the timers of instances. Whether the flow starts is decided then, by the same rules as for other triggers.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from streams.core.instances.occurrence import Occurrence
from streams.core.instances.start import campaign_key, has_instance, instance_id_of, is_too_old, start_flows
from streams.core.instances.waiting import timer_of
from streams.core.model.customer import Customer
from streams.core.model.effects import ScheduleTimer
from streams.core.model.events import TimerFired
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Flow
from streams.core.rules.ruleset import Ruleset
from streams.core.rules.trigger_names import CAMPAIGN
from streams.core.triggers.audiences import is_member, time_in_spread
from streams.core.values import local_time

#: The first word of the step of a timer that starts a campaign. The moment of the campaign follows. No instance has such a step.
CAMPAIGN_STEP = "@campaign"
#: The time zones that are farthest from UTC: the first and the last in which a moment of the calendar comes.
_EAST, _WEST = timedelta(hours=14), timedelta(hours=-12)


def campaign_bounds(ruleset: Ruleset, flow: Flow) -> tuple[datetime, datetime]:
    """Return from when a walk may find customers whose moment has come, and until when one may still start (UTC)."""
    at = _wall_clock(flow)
    latest = local_time.scale(flow.trigger.spread + flow.oldest_event, ruleset.day_scale)
    if flow.trigger.clock == "shop":
        moment = _in_zone(at, local_time.zone_of_shop(ruleset.shop.time_zone))
        return moment, moment + latest
    return at.replace(tzinfo=UTC) - _EAST, at.replace(tzinfo=UTC) - _WEST + latest


def campaign_step(flow: Flow) -> str:
    """Return the step of the timers of a campaign. If the campaign moves to another moment, its earlier timers start nothing."""
    return f"{CAMPAIGN_STEP} {_wall_clock(flow).isoformat()}"


def campaign_timer(ruleset: Ruleset, state: Customer, flow: Flow, now: datetime) -> ScheduleTimer | None:
    """Return the timer that starts a campaign for a customer.

    Args:
        ruleset: the flows and the shop's rules.
        state: the customer.
        flow: a flow whose trigger is `CAMPAIGN`.
        now: the time of the walk, UTC.

    Returns:
        The timer, or None if the customer is not in the segment, is an alias, had the campaign, or is reached too late.
    """
    if state.is_alias:
        return None
    uow = UnitOfWork(ruleset, state, now)
    due_at = _due_at(uow, flow)
    if is_too_old(uow, flow, now - due_at) or not is_member(uow, flow):
        return None
    instance_id = instance_id_of(uow, flow.name, campaign_key(flow))
    if flow.trigger.again_after is None and has_instance(uow, instance_id):
        return None
    return timer_of(state.customer_id, instance_id, flow.name, campaign_step(flow), due_at)


def start_campaign(uow: UnitOfWork, event: TimerFired) -> None:
    """Start the campaign whose timer has fired for the customer, unless the campaign has moved or the customer has left the segment."""
    compiled = uow.ruleset.newest_flow(event.flow)
    if compiled is None or compiled.flow.trigger.on != CAMPAIGN or campaign_step(compiled.flow) != event.step:
        return
    flow = compiled.flow
    if not is_member(uow, flow):
        log = uow.decisions_of(flow.name, flow.version, event.instance_id, compiled.first or "")
        log.skip("left_segment", f"the customer is no longer in the segment {flow.trigger.segment}", repeat=event.step)
        return
    start_flows(uow, Occurrence(CAMPAIGN, None, None, event.due_at), only_flow=flow.name)


def _due_at(uow: UnitOfWork, flow: Flow) -> datetime:
    """Return the customer's own moment of a campaign, UTC."""
    is_shops = flow.trigger.clock == "shop"
    zone = local_time.zone_of_shop(uow.ruleset.shop.time_zone) if is_shops else uow.zone_of(None)
    return local_time.round_up(_in_zone(_wall_clock(flow), zone) + time_in_spread(uow, flow))


def _wall_clock(flow: Flow) -> datetime:
    """Return the moment of a campaign without a time zone."""
    at = flow.trigger.at
    if at is None:
        raise ValueError(f"the flow {flow.name} has no moment")
    return at


def _in_zone(at: datetime, zone: ZoneInfo) -> datetime:
    """Return a moment of a local clock as UTC. One that a clock change skips moves past the gap; of two, the first counts."""
    return at.replace(tzinfo=zone).astimezone(UTC)
