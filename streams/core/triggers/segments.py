"""The segments that flows start by: who has entered one, who has left; also when nothing happens but time."""

from __future__ import annotations

from datetime import timedelta

from streams.core.conditions.context import EvalContext
from streams.core.conditions.time_changes import next_change
from streams.core.instances.waiting import find_instance, schedule_start
from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.customer import Instance
from streams.core.model.flow import LOOK_STEP
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.triggers.dispatch import happened
from streams.core.values import ids, local_time

#: As long as the longest wait of a flow on the customer's days. Who looks too early looks again.
LONGEST = timedelta(days=366)


def check_segments(uow: UnitOfWork) -> None:
    """Start the flows on segments that the customer has entered or left since the last event, and see to it that time alone starts them too."""
    context = EvalContext(uow, None)
    members = tuple([name for name in uow.ruleset.watched if uow.ruleset.segments[name].holds(context)])
    before = uow.segments
    if members != before:
        uow.segments = members
        uow.changed = True
        for name in uow.ruleset.watched:
            if (name in members) != (name in before):
                kind = "segment.entered" if name in members else "segment.left"
                happened(uow, kind, None, None, uow.now, about=(("segment", name),))
    for compiled in uow.ruleset.looking:
        _plan_look(uow, compiled, context)


def _plan_look(uow: UnitOfWork, compiled: CompiledFlow, context: EvalContext) -> None:
    """Wait for the moment at which time may lead into the flow's segment or out of it. One that looks earlier anyway stays: it plans anew."""
    flow = compiled.flow
    changes_at = next_change(context, uow.ruleset.segments[flow.trigger.segment].time_dependencies, uow.now)
    if changes_at is None:
        return
    changes_at = min(changes_at, uow.now + local_time.scale(LONGEST, uow.ruleset.day_scale))
    due_at = local_time.scale_deadline(changes_at, changes_at, 1.0)
    instance_id = ids.instance_id(uow.customer_id, flow.name, "look")
    known = find_instance(uow, instance_id)
    if known is None or known.due_at > due_at:
        schedule_start(uow, flow, Instance(instance_id, flow.name, flow.version, "", None, LOOK_STEP, due_at, uow.now))
