"""Flows that start when the customer enters or leaves a segment, or reaches a threshold, by an event or by time alone."""

from __future__ import annotations

from datetime import timedelta

from streams.core.conditions.context import EvalContext
from streams.core.conditions.time_changes import next_change
from streams.core.instances.occurrence import Occurrence
from streams.core.instances.waiting import find_instance, schedule_start
from streams.core.model.instance import Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import SEGMENT_STEP, membership
from streams.core.rules.trigger_names import REACHED
from streams.core.triggers.dispatch import dispatch
from streams.core.values import ids, local_time

#: The longest time until a segment is checked again, as long as the longest wait for a date. An early check only schedules the next.
LONGEST = timedelta(days=366)


def check_segments(uow: UnitOfWork) -> None:
    """Start the flows whose segment the customer has entered or left, or whose threshold they reached, since the last event.

    Also schedule a check for the next time at which a segment may change without an event.
    """
    context = EvalContext(uow, None)
    watched = uow.ruleset.watched_segments
    before = uow.segments
    # While templates roll out, this worker may have older ones. A worker with the newer ones must not start their flows again.
    unknown = [name for name in before if name not in watched][: uow.ruleset.limits.unknown_segments]
    members = tuple(sorted([*unknown, *(name for name, condition in watched.items() if condition.holds(context))]))
    if members != before:
        uow.segments = members
        uow.changed = True
        for name in watched:
            if (name in members) != (name in before):
                data = (("segment", name),)
                if name in uow.ruleset.segments:
                    event = "segment.entered" if name in members else "segment.left"
                    dispatch(uow, Occurrence(event, None, None, uow.now, data))
                elif name in members:
                    dispatch(uow, Occurrence(REACHED, None, None, uow.now, data))
    for compiled in uow.ruleset.time_dependent_flows:
        _schedule_check(uow, compiled, context)


def _schedule_check(uow: UnitOfWork, compiled: CompiledFlow, context: EvalContext) -> None:
    """Schedule a check for the next time at which the flow's segment may change. An earlier check stays, since it schedules again."""
    flow = compiled.flow
    dependencies = uow.ruleset.watched_segments[membership(flow)].time_dependencies
    changes_at = next_change(context, dependencies, uow.now)
    if changes_at is None:
        return
    changes_at = min(changes_at, uow.now + local_time.scale(LONGEST, uow.ruleset.day_scale))
    due_at = local_time.round_up(changes_at)
    instance_id = ids.instance_id(uow.customer_id, flow.name, "look")
    scheduled = find_instance(uow, instance_id)
    if scheduled is None or scheduled.due_at > due_at:
        schedule_start(
            uow, flow, Instance(instance_id, flow.name, flow.version, "", None, SEGMENT_STEP, due_at, uow.now)
        )
