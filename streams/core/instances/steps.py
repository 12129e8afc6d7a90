"""Execute the steps of an instance, one after the other, until one of them waits or none is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.wait_times import awaited_target, ends_at
from streams.core.model.decision_log import DecisionLog
from streams.core.model.effects import EmitSignal
from streams.core.model.instance import Instance, awaits_pool
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.offers import rewards
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import (
    ChangeList,
    Emit,
    Experiment,
    Reward,
    Send,
    SetField,
    Split,
    Step,
    Wait,
    WaitFor,
)
from streams.core.sending.decide import Deferred, decide_send, hold_out
from streams.core.values import ids, local_time
from streams.core.values.buckets import BUCKETS, bucket


class Execution:
    """One pass of an instance through its steps, until one of them waits or none is left.

    Args:
        uow: the unit of work.
        compiled: the flow of the instance.
        instance: the instance; steps replace it.
        context: the data for conditions.
        start: the time (UTC) from which the next wait counts; steps move it.
        is_start: whether the instance starts now.
    """

    __slots__ = ("compiled", "context", "flow", "instance", "is_start", "start", "uow")

    def __init__(
        self,
        uow: UnitOfWork,
        compiled: CompiledFlow,
        instance: Instance,
        context: EvalContext,
        start: datetime,
        *,
        is_start: bool = False,
    ) -> None:
        self.uow = uow
        self.compiled = compiled
        self.flow = compiled.flow
        self.instance = instance
        self.context = context
        self.start = start
        self.is_start = is_start

    def run(self, path: str | None) -> Instance | None:
        """Execute steps from `path` on. Return the instance as it waits at a later step, or None if it has ended."""
        steps, limit = self.compiled.steps, self.uow.ruleset.limits.steps_per_wake_up
        executed = 0
        while path:
            executed += 1
            if executed > limit:
                self.log(path).limit("steps_per_wake_up", f"more than {limit} steps at one wake-up")
                return None
            step = steps[path]
            result = _EXECUTE[type(step)](self, step)
            if isinstance(result, Instance):
                return result
            path = result
        return None

    def log(self, path: str) -> DecisionLog:
        """Return the log for decisions about the step at `path`."""
        return self.uow.decisions(self.flow, self.instance, path)

    def next_step(self, step: Step) -> str | None:
        """Return the path after `step` and its branches, or None at the end of the flow."""
        return self.compiled.next_step[step.path]

    def wait_at(self, path: str, due_at: datetime, *, awaits: str = "", wanted_at: datetime | None = None) -> Instance:
        """Return the instance as it waits until `due_at` to execute the step at `path`."""
        instance = self.instance
        # Fields by position: `replace` takes several times as long.
        return Instance(
            instance.instance_id,
            instance.flow,
            instance.flow_version,
            instance.order_id,
            instance.parcel_id,
            path,
            due_at,
            instance.started_at,
            awaits,
            wanted_at,
            instance.trigger_data,
            instance.reward,
        )


# The functions below execute one kind of step each. They return the path of the next step, None at the end of the flow, or the
# instance as it waits.
_Result: TypeAlias = Instance | str | None


def _wait(execution: Execution, step: Wait) -> _Result:
    next_path = execution.next_step(step)
    due_at = ends_at(execution.uow, step, execution.start, execution.context)
    if due_at > execution.uow.now and next_path is not None:
        return execution.wait_at(next_path, due_at, awaits=awaited_target(step, execution.context))
    execution.start = due_at
    execution.is_start = False
    return next_path


def _wait_for(execution: Execution, step: WaitFor) -> _Result:
    start, ruleset = execution.start, execution.uow.ruleset
    due_at = local_time.scale_deadline(start, start + step.up_to, ruleset.day_scale)
    if due_at > execution.uow.now:
        return execution.wait_at(step.path, due_at, awaits=step.event)
    execution.start = due_at
    return execution.compiled.branch(step, 1)


def _send(execution: Execution, step: Send) -> _Result:
    uow, flow, instance = execution.uow, execution.flow, execution.instance
    if flow.status == "paused":
        due_at = local_time.scale_deadline(uow.now, uow.now + uow.ruleset.paused_for, uow.ruleset.day_scale)
        execution.log(step.path).defer("paused", "the flow is paused; checked again later", due_at)
        return execution.wait_at(step.path, due_at, wanted_at=instance.wanted_at)
    # An email that is sent at once greets by the time of the order, any other by the time at which it is sent.
    facts = execution.context.facts
    is_at_once = execution.is_start and flow.trigger.on == "order.placed" and facts is not None
    greeted_at = facts.placed_at if is_at_once and facts is not None else uow.now
    outcome = decide_send(uow, flow, step, instance, execution.context, greeted_at)
    if isinstance(outcome, Deferred):
        return execution.wait_at(step.path, outcome.until, wanted_at=instance.wanted_at or uow.now)
    if instance.wanted_at is not None:
        execution.instance = replace(instance, wanted_at=None)
    execution.start = uow.now  # waits after an email count from the email
    return execution.next_step(step)


def _split(execution: Execution, step: Split) -> _Result:
    context = execution.context
    context.reward = execution.instance.reward
    for branch in step.branches:
        if branch.when is None or branch.when.holds(context):
            return branch.steps[0].path if branch.steps else execution.next_step(step)
    execution.log(step.path).skip("no_arm", "no condition of the split holds")
    return execution.next_step(step)


def _experiment(execution: Execution, step: Experiment) -> _Result:
    number = _variant(step, execution.uow.customer_id)
    if number is None:
        hold_out(execution.uow, execution.flow, execution.instance, step.path)
        return None
    detail = f"experiment {step.name}: variant {step.variants[number].name}"
    execution.log(step.path).schedule("experiment", detail)
    return execution.compiled.branch(step, number)


def _variant(experiment: Experiment, customer_id: str) -> int | None:
    """Return the index of the customer's variant, or None if the customer is held out.

    If the shares of the variants add up to less than 100 %, the last variant gets the rest.
    """
    drawn = bucket("experiment", experiment.name, customer_id)
    held_out = experiment.holdout * 100
    if drawn < held_out:
        return None
    participants = BUCKETS - held_out
    percentile = (drawn - held_out) * 100 // participants if participants else 0
    end = 0
    for index, variant in enumerate(experiment.variants):
        end += variant.percent
        if percentile < end:
            return index
    return len(experiment.variants) - 1


def _reward(execution: Execution, step: Reward) -> _Result:
    uow, flow, instance = execution.uow, execution.flow, execution.instance
    if _is_draft(execution, step):
        return execution.next_step(step)
    if step.pool:
        execution.instance, give_up_at = rewards.claim_code(uow, flow, instance, step)
        return execution.wait_at(step.path, give_up_at, awaits=awaits_pool(step.pool))
    uow.changed = True
    execution.instance = rewards.give_signed_code(uow, flow, instance, step)
    return execution.next_step(step)


def _set_field(execution: Execution, step: SetField) -> _Result:
    uow = execution.uow
    if not _is_draft(execution, step):
        uow.changed = True
        fields = dict(uow.fields) | {step.name: step.value}
        kept = [(name, value) for name, value in sorted(fields.items()) if value]
        uow.fields = tuple(kept[: uow.ruleset.limits.fields])
    return execution.next_step(step)


def _change_list(execution: Execution, step: ChangeList) -> _Result:
    uow = execution.uow
    if not _is_draft(execution, step):
        uow.changed = True
        lists = {*uow.lists, step.name} if step.is_member else {*uow.lists} - {step.name}
        uow.lists = tuple(sorted(lists)[: uow.ruleset.limits.lists])
    return execution.next_step(step)


def _emit(execution: Execution, step: Emit) -> _Result:
    uow, flow, instance = execution.uow, execution.flow, execution.instance
    if not _is_draft(execution, step):
        uow.changed = True
        uow.effects.append(
            EmitSignal(
                signal_id=ids.digest("signal", instance.instance_id, step.path),
                customer_id=uow.customer_id,
                kind=step.kind,
                flow=flow.name,
                flow_version=flow.version,
                instance_id=instance.instance_id,
                step=step.path,
                order_id=instance.order_id or None,
                emitted_at=uow.now,
            )
        )
    return execution.next_step(step)


def _is_draft(execution: Execution, step: Step) -> bool:
    """Return whether the flow is a draft. A draft only logs its steps."""
    is_draft = execution.flow.status == "draft"
    if is_draft:
        execution.log(step.path).draft(f"would have executed step {step.path}")
    return is_draft


_EXECUTE: Mapping[type[Step], Callable[[Execution, Any], _Result]] = MappingProxyType(
    {
        Wait: _wait,
        WaitFor: _wait_for,
        Send: _send,
        Split: _split,
        Experiment: _experiment,
        Reward: _reward,
        SetField: _set_field,
        ChangeList: _change_list,
        Emit: _emit,
    }
)
"""The function that executes each kind of step."""
