"""The steps of a run: taking them one after the other, until one waits or none is left."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.wait_times import awaited_target, ends_at
from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.customer import Instance
from streams.core.model.effects import EmitSignal
from streams.core.model.flow import (
    CODE_OF,
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
    """Take steps from `path` on. Waits are counted from `start`. The instance as it waits, or None if it came to its end."""
    flow, ruleset, order_id = compiled.flow, uow.ruleset, instance.order_id or None
    taken = 0
    while path:
        step = compiled.steps[path]
        taken += 1
        if taken > ruleset.limits.steps_per_wake_up:
            words = f"more than {ruleset.limits.steps_per_wake_up} steps at one wake-up"
            uow.decide(flow, instance.instance_id, path, "limit", "steps_per_wake_up", words, order_id=order_id)
            return None
        following = compiled.next_step[path]
        if isinstance(step, Wait):
            due_at = ends_at(uow, step, start, context)
            if due_at > uow.now and following is not None:
                return _waiting(instance, following, due_at, awaits=awaited_target(step, context))
            start = due_at
            is_start = False
        elif isinstance(step, Send):
            if flow.status == "paused":
                due_at = local_time.scale_deadline(uow.now, uow.now + ruleset.paused_for, ruleset.day_scale)
                words = "the flow is paused; looked at again later"
                moment = local_time.text_of(due_at)
                uow.decide(flow, instance.instance_id, path, "defer", "paused", words, order_id=order_id, moment=moment)
                return _waiting(instance, path, due_at, wanted_at=instance.wanted_at)
            # An email sent at once greets by the time of the order; any other by the time at which it is sent.
            facts = context.facts
            is_at_once = is_start and flow.trigger.on == "order.placed" and facts is not None
            greeted_at = facts.placed_at if is_at_once and facts is not None else uow.now
            outcome = decide_send(uow, flow, step, instance, context, greeted_at)
            if isinstance(outcome, Deferred):
                return _waiting(instance, path, outcome.until, wanted_at=instance.wanted_at or uow.now)
            if instance.wanted_at is not None:
                instance = replace(instance, wanted_at=None)
            start = uow.now  # what follows a mail is counted from the mail
        elif isinstance(step, WaitFor):
            due_at = local_time.scale_deadline(start, start + step.up_to, ruleset.day_scale)
            if due_at > uow.now:
                return _waiting(instance, path, due_at, awaits=step.event)
            start, following = due_at, compiled.branch(step, 1)
        elif isinstance(step, Split):
            following = _arm(uow, compiled, instance, step, context)
        elif isinstance(step, Experiment):
            number = _variant(step, uow.customer_id)
            if number is None:
                hold_out(uow, flow, instance.instance_id, path, "", flow.purpose, order_id)
                return None
            name = step.variants[number].name
            words = f"experiment {step.name}: arm {name}"
            uow.decide(flow, instance.instance_id, path, "schedule", "experiment", words, order_id=order_id)
            following = compiled.branch(step, number)
        elif isinstance(step, Reward) and step.pool and flow.status != "draft":
            instance, give_up_at = rewards.claim_code(uow, flow, instance, step)
            return _waiting(instance, path, give_up_at, awaits=CODE_OF + step.pool)
        else:
            instance = apply_effect_step(uow, flow, instance, step)
        path = following
    return None


def _arm(uow: UnitOfWork, compiled: CompiledFlow, instance: Instance, step: Split, context: EvalContext) -> str | None:
    context.reward = instance.reward
    for arm in step.branches:
        if arm.when is None or arm.when.holds(context):
            return arm.steps[0].path if arm.steps else compiled.next_step[step.path]
    words = "no arm of the split is true"
    uow.decide(
        compiled.flow, instance.instance_id, step.path, "skip", "no_arm", words, order_id=instance.order_id or None
    )
    return compiled.next_step[step.path]


def _variant(experiment: Experiment, customer_id: str) -> int | None:
    """The number of the arm that a customer falls into; None: held out. What the arms leave of a hundred goes to the last."""
    drawn = bucket("experiment", experiment.name, customer_id)
    if drawn < experiment.holdout * 100:
        return None
    left = BUCKETS - experiment.holdout * 100
    place = (drawn - experiment.holdout * 100) * 100 // left if left else 0  # percent of those who take part
    upto = 0
    for number, arm in enumerate(experiment.variants):
        upto += arm.percent
        if place < upto:
            return number
    return len(experiment.variants) - 1


def apply_effect_step(uow: UnitOfWork, flow: Flow, instance: Instance, step: Step) -> Instance:
    """Take a step that neither waits nor sends; the instance after it. A draft does nothing."""
    instance_id, path, order_id = instance.instance_id, step.path, instance.order_id or None
    if flow.status == "draft":
        uow.decide(flow, instance_id, path, "draft", "draft", f"would have taken the step {path}", order_id=order_id)
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
                signal_id=ids.digest("signal", instance_id, path),
                customer_id=uow.customer_id,
                kind=step.kind,
                flow=flow.name,
                flow_version=flow.version,
                instance_id=instance_id,
                step=path,
                order_id=order_id,
                emitted_at=uow.now,
            )
        )
    return instance


def _waiting(
    instance: Instance, step: str, due_at: datetime, *, awaits: str = "", wanted_at: datetime | None = None
) -> Instance:
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
        instance.about,
        instance.reward,
    )
