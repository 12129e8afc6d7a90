"""Flows that start some days before the code of a reward ends."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.exits import log_missing_flow
from streams.core.instances.expiry import ends_at, starts_at
from streams.core.instances.start import instance_id_of, start_once
from streams.core.instances.waiting import drop_instance, suspend
from streams.core.model.instance import Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.trigger_names import REWARD_EXPIRING


def start_on_expiry(uow: UnitOfWork, scheduled: Instance) -> None:
    """Start the flow that waits for the end of a code, or keep it waiting if it now starts later. After the end it does not start."""
    drop_instance(uow, scheduled.instance_id)
    compiled = uow.ruleset.newest_flow(scheduled.flow)
    if compiled is None or compiled.flow.trigger.on != REWARD_EXPIRING:
        log_missing_flow(uow, scheduled)
        return
    due_at = starts_at(uow, compiled.flow, scheduled)
    if due_at > uow.now:
        suspend(uow, replace(scheduled, flow_version=compiled.flow.version, due_at=due_at), uow.instances)
        return
    if ends_at(scheduled) <= uow.now:
        return
    context = EvalContext(uow, None, None, scheduled.trigger_data)
    context.reward = scheduled.reward
    instance_id = instance_id_of(uow, compiled.flow.name, f"reward/{scheduled.reward}")
    start_once(uow, compiled, instance_id, REWARD_EXPIRING, context, due_at)
