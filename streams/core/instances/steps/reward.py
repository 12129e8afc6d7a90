"""The step `reward`: give a code. Its data is in `core/rules/flow.py`, because the packages below read it."""

from __future__ import annotations

from streams.core.instances.steps.execution import Execution, Result
from streams.core.model.instance import awaits_pool
from streams.core.offers import rewards
from streams.core.rules.flow import Reward


def execute(execution: Execution, step: Reward) -> Result:
    """Give a signed code, or claim one of the pool and wait for it."""
    uow, flow, instance = execution.uow, execution.flow, execution.instance
    if execution.is_draft(step):
        return execution.next_step(step)
    if step.pool:
        execution.instance, give_up_at = rewards.claim_code(uow, flow, instance, step)
        return execution.wait_at(step.path, give_up_at, awaits=awaits_pool(step.pool))
    uow.changed = True
    execution.instance = rewards.give_signed_code(uow, flow, instance, step)
    return execution.next_step(step)


def on_timer(execution: Execution, step: Reward) -> str | None:
    """Continue without a code if the pool gave none in time."""
    instance = execution.instance
    if not instance.awaited_pool or instance.awaited_pool != step.pool:
        return step.path
    detail = f"no code of the pool {step.pool} arrived in time; continues without one"
    execution.uow.decisions(execution.flow, instance).skip("pool_empty", detail)
    return execution.next_step(step)
