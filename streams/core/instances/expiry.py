"""Flows that start before the code of a reward ends: what waits for it, and what ends when the customer uses the code."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from streams.core.instances.exits import exit_instance
from streams.core.instances.waiting import drop_instance, find_instance, suspend
from streams.core.model.instance import REWARD_ENDS, REWARD_NAME, Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.flow import DATE_STEP, Flow
from streams.core.rules.trigger_names import REWARD_EXPIRING
from streams.core.values import ids, local_time

#: The rule of instances that end because the customer has used their code.
REWARD_USED = "reward_used"


def schedule_expiry(uow: UnitOfWork, flow: Flow, instance: Instance) -> None:
    """Schedule the flows that start before the code of the newest reward of an instance ends.

    A code that is valid for a shorter time starts none of them, and neither does a code that such a flow gives.
    """
    if not instance.reward or flow.trigger.on == REWARD_EXPIRING:
        return
    for compiled in uow.ruleset.by_trigger.get(REWARD_EXPIRING, ()):
        due_at = starts_at(uow, compiled.flow, instance)
        waiting_id = ids.instance_id(uow.customer_id, compiled.flow.name, f"expiry/{instance.reward}")
        if due_at <= uow.now or find_instance(uow, waiting_id) is not None:
            continue
        waiting = Instance(
            waiting_id,
            compiled.flow.name,
            compiled.flow.version,
            "",
            None,
            DATE_STEP,
            due_at,
            uow.now,
        ).with_reward(instance.reward, *_described(instance))
        if has_room(uow, waiting):
            suspend(uow, waiting, uow.instances)


def starts_at(uow: UnitOfWork, flow: Flow, instance: Instance) -> datetime:
    """Return when a flow starts by the end of the instance's code (UTC)."""
    before = local_time.scale(timedelta(days=flow.trigger.before), uow.ruleset.day_scale)
    return ends_at(instance) - before


def ends_at(instance: Instance) -> datetime:
    """Return when the code of the instance ends (UTC)."""
    return _described(instance)[1]


def has_room(uow: UnitOfWork, waiting: Instance) -> bool:
    """Return whether one more instance may wait for the end of a code. Log it if not."""
    limits = uow.ruleset.limits
    if len([each for each in uow.instances if each.waits_for_expiry]) < limits.rewards:
        if len(uow.instances) < limits.instances:
            return True
        uow.decisions(None, waiting).limit("instances", f"more than {limits.instances} flows at once")
        return False
    uow.decisions(None, waiting).limit("rewards", f"more than {limits.rewards} codes waited for at once")
    return False


def use_codes(uow: UnitOfWork, codes: Collection[str]) -> None:
    """End what waits for the end of these codes, or runs because of it: the customer has used them."""
    used = {code.casefold() for code in codes if code}
    for instance in uow.instances if used else ():
        if not instance.reward or instance.reward.casefold() not in used:
            continue
        if instance.waits_for_expiry:
            drop_instance(uow, instance.instance_id)
            continue
        compiled = uow.ruleset.find_flow(instance.flow, instance.flow_version, instance.step)
        if compiled is not None and compiled.flow.trigger.on == REWARD_EXPIRING:
            exit_instance(uow, compiled.flow, instance, REWARD_USED)


def _described(instance: Instance) -> tuple[str, datetime]:
    """Return the name of the instance's reward, and when its code ends (UTC)."""
    data = dict(instance.own_data)
    return data.get(REWARD_NAME, ""), datetime.fromisoformat(data[REWARD_ENDS])
