"""The audience of a campaign or a backfill: for how many of the stored customers a flow would start. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from streams.core.model.customer import Customer
from streams.core.rules.ruleset import Ruleset
from streams.core.rules.trigger_names import BACKFILLED, CAMPAIGN
from streams.core.triggers.backfills import backfill_timer
from streams.core.triggers.campaigns import campaign_bounds, campaign_timer


class NoAudience(ValueError):
    """The flow is unknown, or starts by events only."""


class Audience(Struct, frozen=True):
    """How many customers are stored, and for how many of them the flow would start now, or at its moment."""

    customers: int
    starts: int


def audience_of(ruleset: Ruleset, name: str, states: Iterable[Customer], now: datetime) -> Audience:
    """Count the customers for whom a campaign, or a backfill of a flow, would start. `where` and `exit_on` are not evaluated.

    Args:
        ruleset: the flows and the shop's rules.
        name: the flow. It need not ask for a backfill yet.
        states: the stored customers.
        now: the present time, UTC. A campaign that is still to come is counted at its moment.

    Raises:
        NoAudience: the flow is unknown, or starts by events only.
    """
    compiled = ruleset.newest_flow(name)
    if compiled is None:
        raise NoAudience(f"unknown flow {name!r}")
    flow = compiled.flow
    if flow.trigger.on == CAMPAIGN:
        decide, at = campaign_timer, max(now, campaign_bounds(ruleset, flow)[0])
    elif flow.trigger.on in BACKFILLED:
        decide, at = backfill_timer, now
    else:
        raise NoAudience(
            f"{name} starts on {flow.trigger.on}: only flows on {', '.join((CAMPAIGN, *BACKFILLED))} have an audience"
        )
    customers = starts = 0
    for state in states:
        customers += 1
        starts += decide(ruleset, state, flow, at) is not None
    return Audience(customers, starts)
