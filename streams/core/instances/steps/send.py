"""The step `send`: send a message. Its data is in `core/rules/flow.py`, because the packages below read it."""

from __future__ import annotations

from msgspec.structs import replace

from streams.core.instances.steps.execution import Execution, Result
from streams.core.rules.flow import Send
from streams.core.sending.decide import Deferred, decide_send
from streams.core.values import local_time


def execute(execution: Execution, step: Send) -> Result:
    """Decide whether the email is sent now. A deferred email waits at this step."""
    uow, flow, instance = execution.uow, execution.flow, execution.instance
    if flow.status == "paused":
        due_at = local_time.scale_deadline(uow.now, uow.now + uow.ruleset.paused_for, uow.ruleset.day_scale)
        execution.log(step.path).defer("paused", "the flow is paused; checked again later", due_at)
        return execution.wait_at(step.path, due_at, wanted_at=instance.wanted_at)
    # An email that is sent at once greets by the time of the order, any other by the time at which it is sent.
    facts = execution.context.facts
    is_at_once = execution.is_start and flow.trigger.on == "order.placed" and facts is not None
    greeted_at = facts.placed_at if is_at_once and facts is not None else uow.now
    outcome = decide_send(uow, flow, step, instance, execution.context, greeted_at)
    if isinstance(outcome, Deferred):
        return execution.wait_at(step.path, outcome.until, wanted_at=instance.wanted_at or uow.now)
    if instance.wanted_at is not None:
        execution.instance = replace(instance, wanted_at=None)
    execution.start = uow.now  # waits after an email count from the email
    return execution.next_step(step)
