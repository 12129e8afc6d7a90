"""The step `set`: store a value in a field of the customer."""

from __future__ import annotations

from streams.core.instances.steps.execution import Execution, Result
from streams.core.rules.flow import Step


class SetField(Step, frozen=True, kw_only=True):
    """Store `value` in the customer's field `name`. An empty value deletes the field."""

    name: str
    value: str


def execute(execution: Execution, step: SetField) -> Result:
    """Store the value. The fields that are last in alphabetical order are dropped above the limit."""
    uow = execution.uow
    if not execution.is_draft(step):
        uow.changed = True
        fields = dict(uow.fields) | {step.name: step.value}
        kept = [(name, value) for name, value in sorted(fields.items()) if value]
        uow.fields = tuple(kept[: uow.ruleset.limits.fields])
    return execution.next_step(step)
