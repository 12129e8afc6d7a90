"""Checks of transactional emails: what is sent whatever the customer's consent must be about an order, soon after it, and no advertising."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.consent_policy import is_transactional
from streams.core.rules.flow import Flow, Reward, Send, Step
from streams.core.rules.trigger_names import OF_REQUESTS, is_about_order
from streams.definitions.checks.paths import before
from streams.definitions.language.steps.kinds import kind_of
from streams.definitions.problems import Problem, problem_at

#: The longest time from the event to a transactional email. Later, an email is about the customer, and not about the order.
LONGEST = timedelta(days=60)


def check_transactional(flow: Flow) -> Iterator[Problem]:
    """Yield the problems of a flow that sends transactional emails: its trigger, its rewards and its waits."""
    compiled = CompiledFlow(flow)
    sends = [path for path, step in compiled.steps.items() if isinstance(step, Send) and is_transactional(step.purpose)]
    if not sends:
        return
    if not is_about_order(flow.trigger.on) and flow.trigger.on not in OF_REQUESTS:
        message = f"{flow.trigger.on} is not about an order or a parcel, but transactional emails are"
        hint = "start with an order or a parcel, or send the email for another purpose"
        yield problem_at("trigger.on", "flow.E062", message, hint)
    earlier = {path for send in sends for path in before(compiled, send)}
    for path, step in compiled.steps.items():
        if isinstance(step, Reward) and path in earlier:
            message = "a reward is advertising, and the email after it is transactional"
            yield problem_at(path, "flow.E063", message, "give the reward in another flow")
    for send, length in _sends_in(flow.steps, timedelta()):
        if is_transactional(send.purpose) and (length is None or length > LONGEST):
            when = f"up to {length.days} days" if length is not None else "any time"
            message = f"this transactional email may be sent {when} after the flow starts; {LONGEST.days} days at most"
            yield problem_at(send.path, "flow.E064", message, "shorten the waits, or send it for another purpose")


def service_sends(flows: Iterable[Flow]) -> Iterator[tuple[Flow, Send]]:
    """Yield the steps that send service emails, each with its flow."""
    for flow in flows:
        for step in CompiledFlow(flow).steps.values():
            if isinstance(step, Send) and step.purpose == "service":
                yield flow, step


def service_messages(flows: Iterable[Flow]) -> list[str]:
    """Return the service emails that flows send, as flow/message, sorted: a person has to judge that they advertise nothing."""
    return sorted({f"{flow.name}/{step.message}" for flow, step in service_sends(flows)})


def _sends_in(steps: tuple[Step, ...], start: timedelta | None) -> Iterator[tuple[Send, timedelta | None]]:
    """Yield the sends below `steps`, each with the longest time from the start of the flow; None if it has no bound."""
    passed = start
    for step in steps:
        if isinstance(step, Send):
            yield step, passed
        passed = _longest(step, passed, ends=False)
        inner = step.inner
        for branch in inner:
            yield from _sends_in(branch, passed)
        passed = _longest(step, passed, ends=True)


def _longest(step: Step, passed: timedelta | None, *, ends: bool) -> timedelta | None:
    """Return the longest time until the branches of a step begin, or (`ends`) from there until the step ends."""
    if passed is None:
        return None
    if not ends:
        length = kind_of(step).longest(step)
        return None if length is None else passed + length
    lengths = [_length(branch, passed) for branch in step.inner]
    return None if None in lengths else max([length for length in lengths if length is not None], default=passed)


def _length(steps: tuple[Step, ...], passed: timedelta | None) -> timedelta | None:
    for step in steps:
        passed = _longest(step, _longest(step, passed, ends=False), ends=True)
    return passed
