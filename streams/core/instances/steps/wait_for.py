"""The step `wait_for`: wait for an event."""

from __future__ import annotations

from datetime import timedelta

from streams.core.instances.steps.execution import Execution, Result
from streams.core.rules.flow import Condition, Step
from streams.core.values import local_time


class WaitFor(Step, frozen=True, kw_only=True):
    """Wait for an event, for `up_to` at most.

    If the event arrives in time and `where` is true, the flow continues with `then`, otherwise with `otherwise`. After either, it
    continues with the step after the wait.
    """

    event: str
    up_to: timedelta
    where: Condition | None = None
    then: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] = ()
    #: Whether `up_to` is written in `m`, which are minutes. Some authors mean months.
    is_in_m: bool = False

    @property
    def inner(self) -> tuple[tuple[Step, ...], ...]:
        """The branch in time, and the branch not in time."""
        return self.then, self.otherwise

    @property
    def awaits(self) -> str:
        """The event."""
        return self.event


def execute(execution: Execution, step: WaitFor) -> Result:
    """Wait, or continue with `otherwise` if the time is over already."""
    ruleset = execution.uow.ruleset
    start = execution.uow.now if execution.has_sent else execution.start
    due_at = local_time.scale_deadline(start, start + step.up_to, ruleset.day_scale)
    if due_at > execution.uow.now:
        return execution.wait_at(step.path, due_at, awaits=step.event)
    execution.start = due_at
    return execution.compiled.branch(step, 1)


def on_timer(execution: Execution, step: WaitFor) -> str | None:
    """Continue with `otherwise` if the event did not arrive in time."""
    return execution.compiled.branch(step, 1) if execution.instance.awaited_event else step.path
