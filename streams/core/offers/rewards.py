"""Codes that runs of flows give: signed ones at once, a pool's when the pool grants one."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from streams.core.model.customer import Instance
from streams.core.model.effects import ClaimCode, IssueReward, LogDecision, WithdrawClaim
from streams.core.model.events import CodeGranted
from streams.core.model.flow import CODE_OF, Flow, Reward
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.values import ids, local_time


def sign(uow: UnitOfWork, flow: Flow, instance: Instance, step: Reward) -> Instance:
    """Give the code that Takk itself signs; the instance with it."""
    code = ids.reward_code(uow.ruleset.reward_key, instance.instance_id, step.path)
    return _give(uow, flow, instance, step, ids.digest("reward", instance.instance_id, step.path), code, None)


def claim(uow: UnitOfWork, flow: Flow, instance: Instance, step: Reward) -> tuple[Instance, datetime]:
    """Ask the pool for a code; the instance, which has none meanwhile, and until when it waits."""
    give_up_at = local_time.scale_deadline(uow.now, uow.now + step.within, uow.ruleset.day_scale)
    uow.effects.append(
        ClaimCode(
            reward_id=ids.digest("reward", instance.instance_id, step.path),
            customer_id=uow.customer_id,
            pool=step.pool,
            flow=flow.name,
            flow_version=flow.version,
            instance_id=instance.instance_id,
            step=step.path,
            order_id=instance.order_id or None,
            claimed_at=uow.now,
            give_up_at=give_up_at,
        )
    )
    return replace(instance, reward=""), give_up_at


def unclaim(uow: UnitOfWork, instance_id: str) -> None:
    """Take back what a run asked of a pool in this turn: it cannot wait, and the code would be given to nobody."""
    uow.effects = [one for one in uow.effects if not (isinstance(one, ClaimCode) and one.instance_id == instance_id)]


def withdraw_claims(uow: UnitOfWork) -> None:
    """Take back what runs asked of pools that wait no longer and got no code: they came to their end, or went on without it.

    It is said in the turn in which that happens, from what the runs were before it: a grant that comes again says nothing about it.
    """
    issued = {one.reward_id for one in uow.effects if isinstance(one, IssueReward)}
    waiting = {(one.instance_id, one.step, one.awaits) for one in uow.instances}
    for was in uow.state.instances:
        if not was.awaits.startswith(CODE_OF) or (was.instance_id, was.step, was.awaits) in waiting:
            continue
        reward_id = ids.digest("reward", was.instance_id, was.step)
        if reward_id not in issued:
            pool = was.awaits.removeprefix(CODE_OF)
            uow.effects.append(
                WithdrawClaim(
                    reward_id=reward_id,
                    customer_id=uow.customer_id,
                    pool=pool,
                    give_up_at=was.due_at,
                    withdrawn_at=uow.now,
                )
            )


def take(uow: UnitOfWork, flow: Flow, instance: Instance, step: Reward, event: CodeGranted) -> Instance:
    """Give the code that the pool granted; the instance with it, or without one if the code is no longer good."""
    if event.expires_at is not None and event.expires_at <= uow.now:
        words = f"the code of the pool {event.pool} was good until {local_time.text_of(event.expires_at)}"
        order_id = instance.order_id or None
        uow.decide(flow, instance.instance_id, step.path, "skip", "code_expired", words, order_id=order_id)
        return instance
    return _give(uow, flow, instance, step, event.reward_id, event.code, event.expires_at)


def too_late(uow: UnitOfWork, event: CodeGranted, why: str) -> None:
    """Log that nobody waits for a code any more, which goes back to its pool: the claim was withdrawn. Which code lies on `code-grants`."""
    uow.effects.append(
        LogDecision(
            decision_id=ids.decision_id(event.instance_id, event.step, "code_too_late", event.reward_id),
            customer_id=uow.customer_id,
            flow=event.flow,
            flow_version=event.flow_version,
            instance_id=event.instance_id,
            step=event.step,
            outcome="skip",
            rule="code_too_late",
            detail=f"the code of the pool {event.pool} for the reward {event.reward_id} goes back: {why}",
            send_id=None,
            order_id=event.order_id,
            decided_at=uow.now,
        )
    )


def _give(
    uow: UnitOfWork,
    flow: Flow,
    instance: Instance,
    step: Reward,
    reward_id: str,
    code: str,
    expires_at: datetime | None,
) -> Instance:
    good_until = uow.now + local_time.scale(step.expires, uow.ruleset.day_scale)
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
            # A code of the shop's own is good for no longer than the shop says.
            expires_at=good_until if expires_at is None else min(good_until, expires_at),
        )
    )
    return replace(instance, reward=code)
