"""The step `split`: continue with the first branch whose condition holds."""

from __future__ import annotations

from msgspec import Struct

from streams.core.conditions.context import EvalContext
from streams.core.instances.steps.execution import Execution, Result
from streams.core.rules.flow import Condition, Step


class Branch(Struct, frozen=True, kw_only=True):
    """One branch of a split. `when` None: the branch of all other customers."""

    when: Condition | None
    steps: tuple[Step, ...]


class Split(Step, frozen=True, kw_only=True):
    """Continue with the first branch whose condition is true. After it the flow continues with the step after the split."""

    branches: tuple[Branch, ...]

    @property
    def inner(self) -> tuple[tuple[Step, ...], ...]:
        """The steps of each branch."""
        return tuple([branch.steps for branch in self.branches])

    @property
    def falls_through(self) -> bool:
        """Whether a customer may match no branch."""
        return all(branch.when is not None for branch in self.branches)


def execute(execution: Execution, step: Split) -> Result:
    """Return the first step of the branch that the customer takes."""
    number = branch_of(step, execution.refresh_context())
    if number is not None:
        return execution.compiled.branch(step, number)
    execution.log(step.path).skip("no_arm", "no condition of the split holds")
    return execution.next_step(step)


def branch_of(split: Split, context: EvalContext) -> int | None:
    """Return the index of the first branch whose condition holds, or None."""
    for number, branch in enumerate(split.branches):
        if branch.when is None or branch.when.holds(context):
            return number
    return None
