"""The warning about lengths in `m`, which are minutes, in flows that otherwise count days or months."""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.instances.steps.wait import Wait
from streams.core.instances.steps.wait_for import WaitFor
from streams.core.rules.compiled_flow import CompiledFlow
from streams.definitions.language.durations import duration_text
from streams.definitions.problems import Problem, problem_at


def check_minutes(step: Wait | WaitFor, compiled: CompiledFlow) -> Iterator[Problem]:
    """Yield a warning if the length of a step is in `m`, and the other waits of the flow are days or months.

    Waits that are written in `m` as well do not count.
    """
    if not step.is_in_m:
        return
    waits = [other for other in compiled.steps.values() if isinstance(other, (Wait, WaitFor)) and not other.is_in_m]
    if not any(_has_days(other) for other in waits) or any(_has_parts_of_days(other) for other in waits):
        return
    if isinstance(step, WaitFor):
        message = f"this step waits for {duration_text(step.up_to)} at most, but the others are days or months"
        hint = "minutes or months? write `min` for minutes, `30d` for a month"
    else:
        message = f"this wait is {duration_text(step.more)}, but the others are days or months"
        hint = "minutes or months? write `min` for minutes, `mo` for months"
    yield problem_at(step.path, "flow.W008", message, hint)


def _has_days(step: Wait | WaitFor) -> bool:
    return bool(step.up_to.days if isinstance(step, WaitFor) else step.days or step.months)


def _has_parts_of_days(step: Wait | WaitFor) -> bool:
    return bool(step.up_to.seconds if isinstance(step, WaitFor) else step.more)
