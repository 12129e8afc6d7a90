"""Execute the steps of an instance, one after the other, until one of them waits or none is left."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.wait_times import awaited_target, ends_at
from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.effects import EmitSignal
from streams.core.model.flow import (
    ChangeList,
    Emit,
    Experiment,
    Flow,
    Reward,
    Send,
    SetField,
    Split,
    Step,
    Wait,
    WaitFor,
)
from streams.core.model.instance import Instance, awaits_pool
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers import rewards
from streams.core.sending.decide import Deferred, decide_send, hold_out
from streams.core.values import ids, local_time
from streams.core.values.buckets import BUCKETS, bucket


def execute_steps(
    uow: UnitOfWork,
    compiled: CompiledFlow,
    instance: Instance,
    context: EvalContext,
    start: datetime,
    path: str | None,
    *,
    is_start: bool = False,
) -> Instance | None:
    """Execute steps from `path` on.

    Args:
        uow: the unit of work.
        compiled: the flow of the instance.
        instance: the instance.
        context: the data for conditions.
        start: the time (UTC) from which waits count.
        path: the path of the first step, or None at the end of the flow.
        is_start: whether the instance starts now.

    Returns:
        The instance as it waits at a later step, or None if it has ended.
    """
    flow, ruleset = compiled.flow, uow.ruleset
    executed = 0
    while path:
        step = compiled.steps[path]
        executed += 1
        if executed > ruleset.limits.steps_per_wake_up:
            detail = f"more than {ruleset.limits.steps_per_wake_up} steps at one wake-up"
            uow.decisions(flow, instance, path).limit("steps_per_wake_up", detail)
            return None
        next_path = compiled.next_step[path]
        if isinstance(step, Wait):
            due_at = ends_at(uow, step, start, context)
            if due_at > uow.now and next_path is not None:
                return _waiting(instance, next_path, due_at, awaits=awaited_target(step, context))
            start = due_at
            is_start = False
        elif isinstance(step, Send):
            if flow.status == "paused":
                due_at = local_time.scale_deadline(uow.now, uow.now + ruleset.paused_for, ruleset.day_scale)
                uow.decisions(flow, instance, path).defer("paused", "the flow is paused; checked again later", due_at)
                return _waiting(instance, path, due_at, wanted_at=instance.wanted_at)
            # An email that is sent at once greets by the time of the order, any other by the time at which it is sent.
            facts = context.facts
            is_at_once = is_start and flow.trigger.on == "order.placed" and facts is not None
            greeted_at = facts.placed_at if is_at_once and facts is not None else uow.now
            outcome = decide_send(uow, flow, step, instance, context, greeted_at)
            if isinstance(outcome, Deferred):
                return _waiting(instance, path, outcome.until, wanted_at=instance.wanted_at or uow.now)
            if instance.wanted_at is not None:
                instance = replace(instance, wanted_at=None)
            start = uow.now  # waits after an email count from the email
        elif isinstance(step, WaitFor):
            due_at = local_time.scale_deadline(start, start + step.up_to, ruleset.day_scale)
            if due_at > uow.now:
                return _waiting(instance, path, due_at, awaits=step.event)
            start, next_path = due_at, compiled.branch(step, 1)
        elif isinstance(step, Split):
            next_path = _branch(uow, compiled, instance, step, context)
        elif isinstance(step, Experiment):
            number = _variant(step, uow.customer_id)
            if number is None:
                hold_out(uow, flow, instance, path)
                return None
            detail = f"experiment {step.name}: arm {step.variants[number].name}"
            uow.decisions(flow, instance, path).schedule("experiment", detail)
            next_path = compiled.branch(step, number)
        elif isinstance(step, Reward) and step.pool and flow.status != "draft":
            instance, give_up_at = rewards.claim_code(uow, flow, instance, step)
            return _waiting(instance, path, give_up_at, awaits=awaits_pool(step.pool))
        else:
            instance = apply_effect_step(uow, flow, instance, step)
        path = next_path
    return None


def _branch(
    uow: UnitOfWork, compiled: CompiledFlow, instance: Instance, step: Split, context: EvalContext
) -> str | None:
    """Return the path after a split: the first branch whose condition holds, or the step after the split."""
    context.reward = instance.reward
    for arm in step.branches:
        if arm.when is None or arm.when.holds(context):
            return arm.steps[0].path if arm.steps else compiled.next_step[step.path]
    uow.decisions(compiled.flow, instance, step.path).skip("no_arm", "no condition of the split holds")
    return compiled.next_step[step.path]


def _variant(experiment: Experiment, customer_id: str) -> int | None:
    """Return the index of the customer's arm, or None if the customer is held out.

    If the shares of the arms add up to less than 100 %, the last arm gets the rest.
    """
    drawn = bucket("experiment", experiment.name, customer_id)
    held_out = experiment.holdout * 100
    if drawn < held_out:
        return None
    participants = BUCKETS - held_out
    percentile = (drawn - held_out) * 100 // participants if participants else 0
    end = 0
    for index, arm in enumerate(experiment.variants):
        end += arm.percent
        if percentile < end:
            return index
    return len(experiment.variants) - 1


def apply_effect_step(uow: UnitOfWork, flow: Flow, instance: Instance, step: Step) -> Instance:
    """Execute a step that neither waits nor sends; return the instance after it. In a draft the step is only logged."""
    path = step.path
    if flow.status == "draft":
        uow.decisions(flow, instance, path).draft(f"would have executed step {path}")
        return instance
    uow.changed = True
    if isinstance(step, SetField):
        fields = dict(uow.fields) | {step.name: step.value}
        kept = [(name, value) for name, value in sorted(fields.items()) if value]
        uow.fields = tuple(kept[: uow.ruleset.limits.fields])
    elif isinstance(step, ChangeList):
        lists = {*uow.lists, step.name} if step.is_member else {*uow.lists} - {step.name}
        uow.lists = tuple(sorted(lists)[: uow.ruleset.limits.lists])
    elif isinstance(step, Reward):
        return rewards.give_signed_code(uow, flow, instance, step)
    elif isinstance(step, Emit):
        uow.effects.append(
            EmitSignal(
                signal_id=ids.digest("signal", instance.instance_id, path),
                customer_id=uow.customer_id,
                kind=step.kind,
                flow=flow.name,
                flow_version=flow.version,
                instance_id=instance.instance_id,
                step=path,
                order_id=instance.order_id or None,
                emitted_at=uow.now,
            )
        )
    return instance


def _waiting(
    instance: Instance, step: str, due_at: datetime, *, awaits: str = "", wanted_at: datetime | None = None
) -> Instance:
    # Fields by position: `replace` takes several times as long.
    return Instance(
        instance.instance_id,
        instance.flow,
        instance.flow_version,
        instance.order_id,
        instance.parcel_id,
        step,
        due_at,
        instance.started_at,
        awaits,
        wanted_at,
        instance.trigger_data,
        instance.reward,
    )
