"""The walks over all stored customers that the flows of a ruleset need, each exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from msgspec import Struct

from streams.core.model.customer import NEVER, Customer
from streams.core.model.effects import NoteInterest, ScheduleTimer
from streams.core.rules.flow import Flow, membership
from streams.core.rules.ruleset import Ruleset
from streams.core.rules.trigger_names import BACKFILLED, CAMPAIGN, CATALOGUE_CHANGES, DATES
from streams.core.triggers.backfills import BACKFILL_STEP, backfill_timer
from streams.core.triggers.campaigns import CAMPAIGN_STEP, campaign_bounds, campaign_step, campaign_timer
from streams.core.triggers.dates import DATES_STEP, date_timer
from streams.core.triggers.interests import known_interests
from streams.core.triggers.watches import WATCH_STEP, watch_timer
from streams.core.values import ids

#: Returns the timer of a customer, or None, from the ruleset, the customer, the flow and the time of the visit.
Decide: TypeAlias = Callable[[Ruleset, Customer, Flow, datetime], ScheduleTimer | None]
#: The first words of the steps of the timers that walks schedule.
STEPS = (CAMPAIGN_STEP, BACKFILL_STEP, WATCH_STEP, DATES_STEP)
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class WalkPlan(Struct, frozen=True, kw_only=True):
    """A walk that hands each stored customer to a flow.

    Attributes:
        name: the identity of the walk. No walk with this name ever starts again on a partition.
        flow: the flow.
        decide: decides which customers get a timer.
        starts_at: when the walk may start, UTC.
        ends_at: from when on it starts nothing, UTC.
        is_of_index: whether it enters the customers into the index of products, and schedules no timers.
    """

    name: str
    flow: Flow
    decide: Decide
    starts_at: datetime = _ALWAYS
    ends_at: datetime = NEVER
    is_of_index: bool = False

    def timer(self, ruleset: Ruleset, state: Customer, now: datetime) -> ScheduleTimer | None:
        """Return the timer of a customer, or None. `now` is the time of the visit, UTC."""
        return self.decide(ruleset, state, self.flow, now)

    def effects(self, ruleset: Ruleset, state: Customer, now: datetime) -> Sequence[ScheduleTimer | NoteInterest]:
        """Return the effects of the visit of a customer. `now` is the time of the visit, UTC."""
        if self.is_of_index:
            return known_interests(ruleset, state)
        timer = self.timer(ruleset, state, now)
        return () if timer is None else (timer,)


def walk_plans(ruleset: Ruleset) -> tuple[WalkPlan, ...]:
    """Return the walks for the newest versions of the flows."""
    return (*_campaigns(ruleset), *_backfills(ruleset), *_watches(ruleset), *_dates(ruleset), *_interests(ruleset))


def _campaigns(ruleset: Ruleset) -> Iterator[WalkPlan]:
    for compiled in ruleset.by_trigger.get(CAMPAIGN, ()):
        flow = compiled.flow
        starts_at, ends_at = campaign_bounds(ruleset, flow)
        # The walk of a draft is another one, as its starts are: a campaign that is made live later reaches everybody.
        name = f"{'draft' if flow.status == 'draft' else 'date'}/{flow.name}/{campaign_step(flow).partition(' ')[2]}"
        yield WalkPlan(name=name, flow=flow, decide=campaign_timer, starts_at=starts_at, ends_at=ends_at)


def _backfills(ruleset: Ruleset) -> Iterator[WalkPlan]:
    for on in BACKFILLED:
        for compiled in ruleset.by_trigger.get(on, ()):
            flow = compiled.flow
            if flow.trigger.backfill and flow.status == "live":
                yield WalkPlan(name=f"backfill/{flow.name}", flow=flow, decide=backfill_timer)


def _watches(ruleset: Ruleset) -> Iterator[WalkPlan]:
    by_name: dict[str, Flow] = {}
    for compiled in ruleset.time_dependent_flows:
        by_name.setdefault(membership(compiled.flow), compiled.flow)
    for name, flow in by_name.items():
        # With another condition, time changes the segment at other times.
        condition = ids.digest(ruleset.watched_segments[name].source)[:12]
        yield WalkPlan(name=f"watch/{name}/{condition}", flow=flow, decide=watch_timer)


def _dates(ruleset: Ruleset) -> Iterator[WalkPlan]:
    for on in sorted(DATES):
        for compiled in ruleset.by_trigger.get(on, ()):
            trigger = compiled.flow.trigger
            name = f"dates/{compiled.flow.name}/{on}/{trigger.date}/{trigger.before}"
            yield WalkPlan(name=name, flow=compiled.flow, decide=date_timer)


def _interests(ruleset: Ruleset) -> Iterator[WalkPlan]:
    """Yield the walk that enters the present customers into the index of products. Each new version of a flow repeats it, which is harmless."""
    flows = [compiled.flow for on in CATALOGUE_CHANGES for compiled in ruleset.by_trigger.get(on, ())]
    if flows:
        versions = ids.digest(*[f"{flow.trigger.on}/{flow.name}/{flow.version}" for flow in flows])[:12]
        yield WalkPlan(name=f"interests/{versions}", flow=flows[0], decide=_no_timer, is_of_index=True)


def _no_timer(ruleset: Ruleset, state: Customer, flow: Flow, now: datetime) -> None:
    return None
