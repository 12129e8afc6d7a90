"""The step `reward`: give a code. Its data is in `core/rules/flow.py`, because the packages below read it."""

from __future__ import annotations

from streams.core.conditions.open_values import reader_of
from streams.core.instances.expiry import schedule_expiry
from streams.core.instances.steps.add import Add
from streams.core.instances.steps.change_list import ChangeList
from streams.core.instances.steps.execution import Execution, Result
from streams.core.instances.steps.experiment import Experiment, variant_of
from streams.core.instances.steps.repeat import Repeat, RoundEnd
from streams.core.instances.steps.set_field import SetField
from streams.core.instances.steps.split import Split, branch_of
from streams.core.instances.steps.wait import Wait
from streams.core.instances.steps.wait_for import WaitFor
from streams.core.model.events import CodeGranted
from streams.core.model.fields import as_stored
from streams.core.model.instance import Instance, awaits_pool
from streams.core.offers import rewards
from streams.core.rules.flow import Condition, Reward, Send
from streams.core.sending.check import Deferred, Skipped, check_send

#: The code that conditions see while the next email is searched.
_ANY_CODE = "any"


def execute(execution: Execution, step: Reward) -> Result:
    """Give a signed code, or claim one of the pool and wait for it.

    No code is claimed before the email that follows may be sent: if it has to wait, the instance waits here, and if it is refused, the
    instance continues to its refusal.
    """
    uow, flow, instance = execution.uow, execution.flow, execution.instance
    if execution.is_draft(step):
        return execution.next_step(step)
    if step.is_signed:
        uow.changed = True
        execution.instance = rewards.give_signed_code(uow, flow, instance, step)
        schedule_expiry(uow, flow, execution.instance)
        return execution.next_step(step)
    pool = _pool_of(execution, step)
    if not pool:
        execution.log(step.path).skip("no_pool", f"no pool for this {step.by}; continues without a code")
        execution.instance = instance.with_reward("")
        return execution.next_step(step)
    waiting = _held_back(execution, step)
    if waiting is not None:
        return waiting
    if execution.refused:
        execution.instance = instance.with_reward("")
        return execution.next_step(step)
    execution.instance, give_up_at = rewards.claim_code(uow, flow, instance, step, pool)
    # Whether it was deferred before is part of the id of the claim.
    return execution.wait_at(step.path, give_up_at, awaits=awaits_pool(pool), wanted_at=instance.wanted_at)


def take_code(execution: Execution, step: Reward, grant: CodeGranted) -> Result:
    """Give the code that the pool granted. It returns to the pool if the email that follows may not be sent now."""
    uow, instance = execution.uow, execution.instance
    waiting = _held_back(execution, step)
    if waiting is not None or execution.refused:
        rewards.log_late_grant(uow, grant, "the email that follows may not be sent now")
        return waiting or execution.next_step(step)
    # The time in which the email may be sent begins with the code.
    instance = execution.instance.without_wish()
    execution.instance = rewards.give_granted_code(uow, execution.flow, instance, step, grant)
    schedule_expiry(uow, execution.flow, execution.instance)
    return execution.next_step(step)


def on_timer(execution: Execution, step: Reward) -> str | None:
    """Continue without a code if the pool gave none in time."""
    instance = execution.instance
    if instance.awaited_pool not in step.all_pools:
        return step.path
    detail = f"no code of the pool {instance.awaited_pool} arrived in time; continues without one"
    execution.uow.decisions(execution.flow, instance).skip("pool_empty", detail)
    execution.instance = instance.without_wish()
    return execution.next_step(step)


def _pool_of(execution: Execution, step: Reward) -> str:
    """Return the pool that the customer gets a code from, "" if no pool has their value."""
    if not step.pools:
        return step.pool
    value = as_stored(reader_of(step.by)(execution.refresh_context()) or "")
    return next((pool for key, pool in step.pools if key == value), step.pool)


def _held_back(execution: Execution, step: Reward) -> Instance | None:
    """Return the instance as it waits until the next email may be sent; None if it may be sent now, or is refused.

    If it is refused, `execution.refused` is set.
    """
    uow, flow, instance, context = execution.uow, execution.flow, execution.instance, execution.context
    before, context.reward = context.reward, _ANY_CODE
    email = _next_email(execution, execution.next_step(step))
    context.reward = before
    if email is None:
        return None
    if flow.status == "paused":
        return execution.wait_while_paused(step.path)
    found = check_send(uow, flow, email, instance, context)
    if isinstance(found.outcome, Deferred):
        detail = f"no code is taken before the email {email.message} may be sent: {found.text}"
        execution.log(step.path).defer(found.outcome.rule, detail, found.outcome.until)
        return execution.wait_at(step.path, found.outcome.until, wanted_at=instance.wanted_at or uow.now)
    execution.refused = isinstance(found.outcome, Skipped)
    return None


def _next_email(execution: Execution, path: str | None) -> Send | None:
    """Return the email that the flow sends next without a wait before it, or None if no email follows or it is unknown which."""
    compiled, context, is_changed = execution.compiled, execution.context, False

    def holds(condition: Condition | None) -> bool:
        return condition is not None and condition.holds(context)

    while path is not None:
        step = compiled.steps[path]
        if isinstance(step, Send):
            return step
        if isinstance(step, (Wait, WaitFor)) or (is_changed and isinstance(step, (Split, Repeat, RoundEnd))):
            return None
        is_changed = is_changed or isinstance(step, (SetField, Add, ChangeList))
        following = execution.next_step(step)
        if isinstance(step, Split):
            number = branch_of(step, context)
            following = compiled.branch(step, number) if number is not None else following
        elif isinstance(step, Experiment):
            variant = variant_of(step, execution.uow.customer_id)
            following = compiled.branch(step, variant) if variant is not None else None
        elif isinstance(step, Repeat):
            following = following if holds(step.until) else compiled.branch(step, 0)
        elif isinstance(step, RoundEnd) and holds(step.until):
            following = compiled.next_step[step.repeat]
        path = following
    return None
