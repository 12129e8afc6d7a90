"""The steps `add_to_list` and `remove_from_list`."""

from __future__ import annotations

from streams.core.instances.steps.execution import Execution, Result
from streams.core.rules.flow import Step


class ChangeList(Step, frozen=True, kw_only=True):
    """Add the customer to a list, or remove them from it."""

    name: str
    is_member: bool


def execute(execution: Execution, step: ChangeList) -> Result:
    """Add the customer to the list, or remove them from it."""
    uow = execution.uow
    if not execution.is_draft(step):
        uow.changed = True
        lists = {*uow.lists, step.name} if step.is_member else {*uow.lists} - {step.name}
        uow.lists = tuple(sorted(lists)[: uow.ruleset.limits.lists])
    return execution.next_step(step)
