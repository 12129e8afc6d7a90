"""The step `set`: store a value in a field of the customer."""

from __future__ import annotations

from streams.core.conditions.names import NAMES
from streams.core.instances.steps.execution import Execution, Result
from streams.core.model.fields import as_stored, put_field
from streams.core.rules.flow import Step


class SetField(Step, frozen=True, kw_only=True):
    """Store `value` in the customer's field `name`. An empty value deletes the field. With `from`, store what that name has now."""

    name: str
    value: str
    #: The name of conditions whose value is stored instead, or "".
    source: str = ""


def execute(execution: Execution, step: SetField) -> Result:
    """Store the value."""
    if not execution.is_draft(step):
        context = execution.refresh_context()
        value = as_stored(NAMES[step.source][1](context)) if step.source else step.value
        put_field(execution.uow, step.name, value)
    return execution.next_step(step)
