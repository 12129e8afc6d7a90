"""The step `emit`: publish a signal for other systems."""

from __future__ import annotations

from streams.core.instances.steps.execution import Execution, Result
from streams.core.model.effects import EmitSignal
from streams.core.rules.flow import Step
from streams.core.values import ids


class Emit(Step, frozen=True, kw_only=True):
    """Publish a signal on the topic `flow-signals` for other systems."""

    kind: str


def execute(execution: Execution, step: Emit) -> Result:
    """Publish the signal."""
    uow, flow, instance = execution.uow, execution.flow, execution.instance
    if not execution.is_draft(step):
        uow.changed = True
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
            )
        )
    return execution.next_step(step)
