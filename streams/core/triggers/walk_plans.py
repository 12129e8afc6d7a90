"""The walks over all stored customers that the flows of a ruleset need, each exactly once."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from streams.core.model.customer import Customer
from streams.core.model.effects import ScheduleTimer
from streams.core.rules.flow import Flow
from streams.core.rules.ruleset import Ruleset
from streams.core.rules.trigger_names import CAMPAIGN
from streams.core.triggers.campaigns import campaign_bounds, campaign_step, campaign_timer


class WalkPlan(Struct, frozen=True, kw_only=True):
    """A walk that hands each stored customer to a flow.

    Attributes:
        name: the identity of the walk. No walk with this name ever starts again on a partition.
        flow: the flow.
        starts_at: when the walk may start, UTC.
        ends_at: from when on it starts nothing, UTC.
    """

    name: str
    flow: Flow
    starts_at: datetime
    ends_at: datetime

    def timer(self, ruleset: Ruleset, state: Customer, now: datetime) -> ScheduleTimer | None:
        """Return the timer that starts the flow for a customer, or None. `now` is the time of the visit, UTC."""
        return campaign_timer(ruleset, state, self.flow, now)


def walk_plans(ruleset: Ruleset) -> tuple[WalkPlan, ...]:
    """Return the walks for the newest versions of the flows."""
    plans = []
    for compiled in ruleset.by_trigger.get(CAMPAIGN, ()):
        flow = compiled.flow
        starts_at, ends_at = campaign_bounds(ruleset, flow)
        # The walk of a draft is another one, as its starts are: a campaign that is made live later reaches everybody.
        name = f"{'draft' if flow.status == 'draft' else 'date'}/{flow.name}/{campaign_step(flow).partition(' ')[2]}"
        plans.append(WalkPlan(name=name, flow=flow, starts_at=starts_at, ends_at=ends_at))
    return tuple(plans)
