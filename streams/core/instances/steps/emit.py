"""The step `emit`: publish a signal for other systems."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct

from streams.core.conditions.context import EvalContext
from streams.core.conditions.open_values import reader_of
from streams.core.instances.steps.execution import Execution, Result
from streams.core.model.effects import EmitSignal
from streams.core.model.fields import LONGEST, as_stored
from streams.core.rules.flow import Step
from streams.core.values import ids


class SignalValue(Struct, frozen=True, kw_only=True):
    """A value of a signal: what the name `source` has when the step is reached, or the fixed text `text` without one."""

    name: str
    source: str = ""
    text: str = ""


class Emit(Step, frozen=True, kw_only=True):
    """Publish a signal on the topic `flow-signals` for other systems, with the values in `data`."""

    kind: str
    data: tuple[SignalValue, ...] = ()


def execute(execution: Execution, step: Emit) -> Result:
    """Publish the signal."""
    uow, flow, instance = execution.uow, execution.flow, execution.instance
    if not execution.is_draft(step):
        uow.changed = True
        context = execution.refresh_context() if step.data else execution.context
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
                data={value.name: _text_of(value, context) for value in step.data},
            )
        )
    return execution.next_step(step)


def _text_of(value: SignalValue, context: EvalContext) -> str:
    return as_text(reader_of(value.source)(context)) if value.source else value.text


def as_text(value: Any) -> str:
    """Return a value of conditions as the text of a signal, 200 characters at most: a list with commas, true or false as such words."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal)):
        return as_stored(value)
    return (", ".join(dict.fromkeys(map(str, value))) if isinstance(value, tuple) else str(value))[:LONGEST]
