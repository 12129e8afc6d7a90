"""The step `add`: add to a number in a field of the customer."""

from __future__ import annotations

from datetime import timedelta

from streams.core.conditions.names import NAMES
from streams.core.instances.steps.execution import Execution, Result
from streams.core.model.fields import add_to_field, whole
from streams.core.rules.flow import Step
from streams.core.values import local_time


class Add(Step, frozen=True, kw_only=True):
    """Add `value` to the number in the customer's field `name`, or subtract it if it is negative.

    A field without a number counts as 0. The added value is valid for `expires`. With `from`, add the number that this name has now,
    without its decimals.
    """

    name: str
    value: int
    #: The name of conditions whose number is added instead, or "".
    source: str = ""
    expires: timedelta | None = None


def execute(execution: Execution, step: Add) -> Result:
    """Add the value."""
    if not execution.is_draft(step):
        uow, value, expires_at = execution.uow, step.value, None
        if step.source:
            value = whole(NAMES[step.source][1](execution.refresh_context()))
        if step.expires is not None and value > 0:
            expires_at = uow.now + local_time.scale(step.expires, uow.ruleset.day_scale)
        if value:
            add_to_field(uow, step.name, value, expires_at)
    return execution.next_step(step)
