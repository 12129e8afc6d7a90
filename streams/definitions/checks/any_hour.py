"""Checks of emails with `any_hour`: the customer has to wait for them, and the law has to allow them."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from streams.core.instances.steps.wait import Wait
from streams.core.instances.steps.wait_for import WaitFor
from streams.core.rules.consent_policy import ConsentPolicy, is_transactional
from streams.core.rules.flow import Flow, Reward, Send, Step
from streams.definitions.problems import Problem, problem_at

#: The actions of customers that they may expect an answer to at once.
ACTIONS = ("order.placed", "survey.answered", "review.written", "contest.entered", "request.asked", "request.confirmed")


def check_any_hour(flow: Flow, consent: ConsentPolicy) -> Iterator[Problem]:
    """Yield the emails that may not come in the quiet hours although the flow says so, and those that may anyway."""
    is_allowed = any(line.verdict == "allowed" for line in consent.lines() if line.purpose == "marketing")
    for send, is_awaited in _sends_in(flow.steps, flow.trigger.on in ACTIONS):
        if not send.any_hour:
            continue
        if is_transactional(send.purpose):
            message = "`any_hour` has no effect: transactional emails do not wait for the end of the quiet hours"
            yield problem_at(send.path, "flow.W014", message, "remove `any_hour`")
        elif send.purpose == "marketing" and not is_allowed:
            message = "marketing emails wait for the end of the quiet hours: no line of consent.yaml allows them"
            yield problem_at(
                send.path, "flow.E082", message, "remove `any_hour`, or send the email for another purpose"
            )
        elif send.together or send.not_before is not None:
            key = "together" if send.together else "not_before"
            message = f"`any_hour` has no effect: with `{key}` the email comes later than its event"
            yield problem_at(send.path, "flow.E083", message, f"remove `any_hour` or `{key}`")
        elif not is_awaited:
            message = "the customer does not wait for this email"
            hint = f"send it directly after {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}, or remove `any_hour`"
            yield problem_at(send.path, "flow.E083", message, hint)


def _sends_in(steps: tuple[Step, ...], is_awaited: bool) -> Generator[tuple[Send, bool], None, bool]:
    """Yield the sends below `steps`, each with whether the customer has just done something on every path to it; return that of their end."""
    for step in steps:
        if isinstance(step, Send):
            yield step, is_awaited
        ends = []
        for number, branch in enumerate(step.inner):
            ends.append((yield from _sends_in(branch, _at_branch(step, number, is_awaited))))
        if isinstance(step, (Wait, Send)) or (isinstance(step, Reward) and not step.is_signed):
            is_awaited = False
        elif ends:
            is_awaited = all(ends) and (is_awaited or not step.falls_through)
        elif isinstance(step, WaitFor):
            is_awaited = False
    return is_awaited


def _at_branch(step: Step, number: int, is_awaited: bool) -> bool:
    """Return whether the customer has just done something at the start of a branch."""
    return number == 0 and step.event in ACTIONS if isinstance(step, WaitFor) else is_awaited
