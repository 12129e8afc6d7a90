"""The kinds of steps at event time: each with the function that executes it, and the one that its timer calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from streams.core.instances.steps import (
    add,
    change_list,
    emit,
    experiment,
    repeat,
    reward,
    send,
    set_field,
    split,
    wait,
    wait_for,
)
from streams.core.instances.steps.execution import Execution, Result
from streams.core.model.instance import Instance
from streams.core.rules.flow import Reward, Send, Step

#: The function that executes each kind of step.
EXECUTE: Mapping[type[Step], Callable[[Execution, Any], Result]] = MappingProxyType(
    {
        wait.Wait: wait.execute,
        wait_for.WaitFor: wait_for.execute,
        Send: send.execute,
        split.Split: split.execute,
        experiment.Experiment: experiment.execute,
        repeat.Repeat: repeat.execute,
        repeat.RoundEnd: repeat.end_round,
        Reward: reward.execute,
        set_field.SetField: set_field.execute,
        add.Add: add.execute,
        change_list.ChangeList: change_list.execute,
        emit.Emit: emit.execute,
    }
)
#: The function of each kind that returns the path at which an instance continues when its timer fires. The others continue at the step.
ON_TIMER: Mapping[type[Step], Callable[[Execution, Any], str | None]] = MappingProxyType(
    {wait_for.WaitFor: wait_for.on_timer, Reward: reward.on_timer}
)


def run(execution: Execution, path: str | None) -> Instance | None:
    """Execute steps from `path` on. Return the instance as it waits at a later step, or None if it has ended."""
    steps, limit = execution.compiled.steps, execution.uow.ruleset.limits.steps_per_wake_up
    executed = 0
    while path:
        executed += 1
        if executed > limit:
            execution.log(path).limit("steps_per_wake_up", f"more than {limit} steps at one wake-up")
            return None
        step = steps[path]
        result = EXECUTE[type(step)](execution, step)
        if isinstance(result, Instance):
            return result
        path = result
    return None


def path_after_timer(execution: Execution) -> str | None:
    """Return the path at which an instance continues when its timer fires, None at the end of the flow."""
    path = execution.instance.step
    step = execution.compiled.steps[path]
    on_timer = ON_TIMER.get(type(step))
    return on_timer(execution, step) if on_timer is not None else path
