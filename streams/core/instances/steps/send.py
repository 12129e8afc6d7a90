"""The step `send`: send a message. Its data is in `core/rules/flow.py`, because the packages below read it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.instances.steps.execution import Execution, Result
from streams.core.instances.together import gather_until, joined, joining
from streams.core.model.instance import Instance
from streams.core.rules.flow import Send
from streams.core.sending.decide import Deferred, Sent, decide_send, log_joined
from streams.core.values import local_time


def execute(execution: Execution, step: Send) -> Result:
    """Decide whether the email is sent now. A deferred email waits at this step."""
    uow, flow, instance = execution.uow, execution.flow, execution.instance
    if flow.status == "paused":
        due_at = local_time.scale_deadline(uow.now, uow.now + uow.ruleset.paused_for, uow.ruleset.day_scale)
        execution.log(step.path).defer("paused", "the flow is paused; checked again later", due_at)
        return execution.wait_at(step.path, due_at, wanted_at=instance.wanted_at)
    if step.together and (execution.is_start or instance.step != step.path):
        # The event that leads here may lead other instances here too, one after the other.
        return execution.wait_at(step.path, gather_until(uow), wanted_at=uow.now)
    others = list(joining(uow, execution.compiled, step, instance, execution.context)) if step.together else []
    # An email that is sent at once greets by the time of the order, any other by the time at which it is sent.
    facts = execution.context.facts
    is_at_once = execution.is_start and flow.trigger.on == "order.placed" and facts is not None
    greeted_at = facts.placed_at if is_at_once and facts is not None else uow.now
    together = [context for _, context in others]
    outcome = decide_send(uow, flow, step, instance, execution.context, greeted_at, together)
    if isinstance(outcome, Deferred):
        return execution.wait_at(step.path, outcome.until, wanted_at=instance.wanted_at or uow.now)
    if isinstance(outcome, Sent) or outcome.rule == "draft":
        _join(execution, step, others)
    if instance.wanted_at is not None:
        execution.instance = replace(instance, wanted_at=None)
    execution.start = uow.now  # waits after an email count from the email
    return execution.next_step(step)


def _join(execution: Execution, step: Send, others: Sequence[tuple[Instance, EvalContext]]) -> None:
    """Let other instances continue after the email that this one sends for them too."""
    uow, compiled, instance = execution.uow, execution.compiled, execution.instance
    for other, context in others:
        log_joined(uow, execution.flow, step, other, instance)
        following = Execution(uow, compiled, joined(other, instance), context, uow.now)
        execution.joined.append((following, execution.next_step(step)))
