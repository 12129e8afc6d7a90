"""The step `send`: send a message. Its data is in `core/rules/flow.py`, because the packages below read it."""

from __future__ import annotations

from collections.abc import Sequence

from streams.core.conditions.context import EvalContext
from streams.core.instances.steps.execution import Execution, Result, planned_time
from streams.core.instances.together import gather_until, joined, joining
from streams.core.model.instance import Instance
from streams.core.rules.flow import Send
from streams.core.sending.check import Deferred, Sent
from streams.core.sending.decide import decide_send, log_joined


def execute(execution: Execution, step: Send) -> Result:
    """Decide whether the email is sent now. A deferred email waits at this step."""
    uow, flow, instance = execution.uow, execution.flow, execution.instance
    refused, execution.refused = execution.refused, False
    if flow.status == "paused":
        return execution.wait_while_paused(step.path)
    if step.together and not refused and (execution.is_start or instance.step != step.path):
        # The event that leads here may lead other instances here too, one after the other.
        return execution.wait_at(step.path, gather_until(uow), wanted_at=uow.now)
    others = list(joining(uow, execution.compiled, step, instance, execution.context)) if step.together else []
    # An email that is sent at once greets by the time of the order, any other by the time at which it is sent.
    facts = execution.context.facts
    is_at_once = execution.is_start and flow.trigger.on == "order.placed" and facts is not None
    greeted_at = facts.placed_at if is_at_once and facts is not None else uow.now
    execution.refresh_context()
    together = [context for _, context in others]
    outcome = decide_send(uow, flow, step, instance, execution.context, greeted_at, together)
    if isinstance(outcome, Deferred):
        return execution.wait_at(step.path, outcome.until, wanted_at=instance.wanted_at or uow.now)
    if isinstance(outcome, Sent) or outcome.rule == "draft":
        _join(execution, step, others)
    execution.instance = instance.without_wish()
    # Waits after an email count from the email, and those until a time of day from the time at which it was planned.
    execution.has_sent = True
    execution.start = uow.now if execution.is_start else planned_time(uow, execution.start)
    return execution.next_step(step)


def _join(execution: Execution, step: Send, others: Sequence[tuple[Instance, EvalContext]]) -> None:
    """Let other instances continue after the email that this one sends for them too."""
    uow, compiled, instance = execution.uow, execution.compiled, execution.instance
    for other, context in others:
        log_joined(uow, execution.flow, step, other, instance)
        start = planned_time(uow, other.due_at)
        following = Execution(uow, compiled, joined(other, instance), context, start, has_sent=True)
        execution.joined.append((following, execution.next_step(step)))
