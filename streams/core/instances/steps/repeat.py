"""The step `repeat`: the same steps several times. Reading a flow writes out the rounds, so each step of a round has its own path."""

from __future__ import annotations

from streams.core.instances.steps.execution import Execution, Result
from streams.core.rules.flow import Condition, Step


class Repeat(Step, frozen=True, kw_only=True):
    """Take the steps up to `times` times, and wait for `every` between two rounds. Before each round `until` ends the repetition."""

    times: int
    until: Condition | None = None
    #: All rounds in a row, with a `Wait` and a `RoundEnd` between two.
    steps: tuple[Step, ...]

    @property
    def inner(self) -> tuple[tuple[Step, ...], ...]:
        """All rounds as one branch."""
        return (self.steps,)

    @property
    def falls_through(self) -> bool:
        """Whether `until` may hold before the first round."""
        return self.until is not None


class RoundEnd(Step, frozen=True, kw_only=True):
    """The end of a round of the repetition at the path `repeat`: `until` ends it."""

    repeat: str
    until: Condition


def execute(execution: Execution, step: Repeat) -> Result:
    """Return the first step of the first round, or the step after the repetition."""
    if step.until is not None and _is_over(execution, step.path, step.until):
        return execution.next_step(step)
    return execution.compiled.branch(step, 0)


def end_round(execution: Execution, step: RoundEnd) -> Result:
    """Return the first step of the next round, or the step after the repetition."""
    if _is_over(execution, step.path, step.until):
        return execution.compiled.next_step[step.repeat]
    return execution.next_step(step)


def _is_over(execution: Execution, path: str, until: Condition) -> bool:
    context = execution.refresh_context()
    if not until.holds(context):
        return False
    execution.log(path).skip("repeat_until", f"the repetition ends: {until.source}")
    return True
