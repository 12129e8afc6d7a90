"""For whom a campaign or a backfill starts a flow: the members of its segment, each at a place of their own in the spread."""

from __future__ import annotations

from datetime import timedelta

from streams.core.conditions.context import EvalContext
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Flow
from streams.core.values import local_time
from streams.core.values.buckets import BUCKETS, bucket


def is_member(uow: UnitOfWork, flow: Flow) -> bool:
    """Return whether the customer is in the flow's segment now, or beyond its threshold."""
    condition = flow.trigger.threshold or uow.ruleset.segments.get(flow.trigger.segment)
    return condition is not None and condition.holds(EvalContext(uow, None))


def time_in_spread(uow: UnitOfWork, flow: Flow) -> timedelta:
    """Return how long after the first customer this one starts: always the same time for a flow and a customer."""
    spread = local_time.scale(flow.trigger.spread, uow.ruleset.day_scale)
    return spread * bucket("spread", flow.name, uow.customer_id) / BUCKETS
