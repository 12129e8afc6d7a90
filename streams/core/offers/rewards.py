"""Reward codes that instances give: Takk signs some at once, a code pool grants others later."""

from __future__ import annotations

from datetime import datetime

from streams.core.model.effects import ClaimCode, IssueReward, WithdrawClaim
from streams.core.model.events import CodeGranted
from streams.core.model.instance import Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import Flow, Reward
from streams.core.values import ids, local_time


def give_signed_code(uow: UnitOfWork, flow: Flow, instance: Instance, step: Reward) -> Instance:
    """Give a code that Takk signs. Return the instance with the code."""
    code = ids.reward_code(uow.ruleset.reward_key, instance.instance_id, step.path)
    return _give(uow, flow, instance, step, ids.digest("reward", instance.instance_id, step.path), code, None)


def claim_code(uow: UnitOfWork, flow: Flow, instance: Instance, step: Reward, pool: str) -> tuple[Instance, datetime]:
    """Claim a code from a pool of `step`.

    Returns:
        The instance, without a code so far, and the time (UTC) until which it waits.
    """
    give_up_at = local_time.scale_deadline(uow.now, uow.now + step.within, uow.ruleset.day_scale)
    uow.effects.append(
        ClaimCode(
            reward_id=reward_id_of(instance, step.path, give_up_at),
            customer_id=uow.customer_id,
            pool=pool,
            flow=flow.name,
            flow_version=flow.version,
            instance_id=instance.instance_id,
            step=step.path,
            order_id=instance.order_id or None,
            claimed_at=uow.now,
            give_up_at=give_up_at,
        )
    )
    return instance.with_reward(""), give_up_at


def cancel_claims(uow: UnitOfWork, instance_id: str) -> None:
    """Remove the claims that an instance made in this unit of work, because it cannot wait for their codes."""
    uow.effects[:] = [
        effect for effect in uow.effects if not (isinstance(effect, ClaimCode) and effect.instance_id == instance_id)
    ]


def withdraw_claims(uow: UnitOfWork) -> None:
    """Withdraw the claims of instances that stopped waiting in this unit of work without a code.

    They ended, or continued without the code. A grant that is delivered again withdraws nothing: its instance no longer waited when
    the unit of work began.
    """
    claiming = [instance for instance in uow.state.instances if instance.awaits and instance.awaited_pool]
    if not claiming:
        return
    issued = {effect.reward_id for effect in uow.effects if isinstance(effect, IssueReward)}
    waiting = {(instance.instance_id, instance.step, instance.awaits) for instance in uow.instances}
    for before in claiming:
        if (before.instance_id, before.step, before.awaits) in waiting:
            continue
        if reward_id_of(before, before.step) not in issued:
            withdraw_claim_of(uow, before)


def withdraw_claim_of(uow: UnitOfWork, instance: Instance) -> None:
    """Withdraw the claim of an instance that does not wait any more. One that waited for no code has none."""
    if instance.awaited_pool:
        uow.effects.append(
            WithdrawClaim(
                reward_id=reward_id_of(instance, instance.step),
                customer_id=uow.customer_id,
                pool=instance.awaited_pool,
                give_up_at=instance.due_at,
                withdrawn_at=uow.now,
            )
        )


def give_granted_code(uow: UnitOfWork, flow: Flow, instance: Instance, step: Reward, grant: CodeGranted) -> Instance:
    """Give the code that a pool granted. Return the instance with the code, or without it if the code has expired."""
    if grant.expires_at is not None and grant.expires_at <= uow.now:
        text = f"the code of the pool {grant.pool} was valid until {local_time.text_of(grant.expires_at)}"
        uow.decisions(flow, instance, step.path).skip("code_expired", text)
        return instance
    return _give(uow, flow, instance, step, grant.reward_id, grant.code, grant.expires_at)


def log_late_grant(uow: UnitOfWork, grant: CodeGranted, reason: str) -> None:
    """Log that no instance uses a granted code.

    The claim was withdrawn, so the code returns to its pool. The record on `code-grants` shows which code it is.
    """
    log = uow.decisions_of(grant.flow, grant.flow_version, grant.instance_id, grant.step, order_id=grant.order_id)
    text = f"the code of the pool {grant.pool} for the reward {grant.reward_id} returns to the pool: {reason}"
    log.skip("code_too_late", text, repeat=grant.reward_id)


def reward_id_of(instance: Instance, step: str, give_up_at: datetime | None = None) -> str:
    """Return the id of the reward that an instance gives at a step.

    A claim that was withdrawn is void, so each claim after a deferral has an id of its own.

    Args:
        instance: the instance. Its `wanted_at` is set if it was deferred before.
        step: the path of the step.
        give_up_at: until when the claim waits (UTC), by default `instance.due_at`: that of a claim that waits.
    """
    if instance.wanted_at is None:
        return ids.digest("reward", instance.instance_id, step)
    return ids.digest("reward", instance.instance_id, step, local_time.text_of(give_up_at or instance.due_at))


def _give(
    uow: UnitOfWork,
    flow: Flow,
    instance: Instance,
    step: Reward,
    reward_id: str,
    code: str,
    expires_at: datetime | None,
) -> Instance:
    valid_until = uow.now + local_time.scale(step.expires, uow.ruleset.day_scale)
    # The shop's codes are valid no longer than the shop's record says.
    ends_at = valid_until if expires_at is None else min(valid_until, expires_at)
    uow.effects.append(
        IssueReward(
            reward_id=reward_id,
            customer_id=uow.customer_id,
            name=step.name,
            code=code,
            flow=flow.name,
            flow_version=flow.version,
            instance_id=instance.instance_id,
            step=step.path,
            order_id=instance.order_id or None,
            issued_at=uow.now,
            expires_at=ends_at,
        )
    )
    return instance.with_reward(code, step.name, ends_at)
