"""Checks of flows that are written correctly: unreachable steps, events that cannot occur, emails that are never sent.

Only certain problems are reported. A flow without any may still be redundant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta

from jinja2 import Environment, nodes
from jinja2.parser import Parser

from streams.core.model.compiled_flow import CompiledFlow
from streams.core.model.consent_policy import OWN_SCOPES, ConsentPolicy, is_transactional
from streams.core.model.flow import (
    LAUNCH,
    Condition,
    Experiment,
    Flow,
    Reward,
    Send,
    Split,
    Step,
    Wait,
    WaitFor,
    branches,
)
from streams.core.model.sending_rules import SendingRules
from streams.definitions.problems import Location, Problem

_PARSES = Environment(autoescape=True)  # only its parser is used: nothing is rendered
_CONTEXT = nodes.EvalContext(_PARSES)
# Names that are never true in a flow that the event ends.
_ENDED_BY = {
    "order.is_paid": "order.paid",
    "order.is_refunded": "order.refunded",
    "order.is_cancelled": "order.cancelled",
    "customer.is_unsubscribed": "customer.unsubscribed",
}
# Events that end an instance before its wait_for can continue with them.
_ENDS_FIRST = frozenset(("order.placed", "order.paid", "order.refunded", "order.cancelled", "shipment.returned"))


_GIVEN = nodes.Getattr(nodes.Name("reward", "load"), "is_given", "load")


def problem_at(part: str, id: str, message: str, hint: str) -> Problem:
    """Return a problem at a part of a flow, for example "1.0.2" or "trigger.where"."""
    return Problem(id, message, hint, Location(part=part))


def check_flow(flow: Flow, rules: SendingRules, consent: ConsentPolicy) -> list[Problem]:
    """Return the problems of one flow under the shop's sending rules and consent policy."""
    compiled = CompiledFlow(flow)
    problems: list[Problem] = []
    if _is_never(flow.trigger.where, flow):
        message = "this condition is never true, so the flow never starts"
        problems.append(problem_at("trigger.where", "flow.E043", message, "change the condition"))
    if _is_never(flow.goal, flow):
        message = "this condition is never true, so no customer reaches the goal"
        problems.append(problem_at("goal", "flow.E044", message, "change the condition"))
    elif flow.goal is not None and not _parts(flow.goal):
        message = "this condition is always true, so every customer leaves the flow at once"
        problems.append(problem_at("goal", "flow.E045", message, "change the condition"))
    for step in compiled.steps.values():
        if isinstance(step, Split):
            problems += _check_branches(step, flow)
        elif isinstance(step, WaitFor):
            problems += _check_awaited(step, flow)
        elif isinstance(step, Wait):
            problems += _check_wait(step, compiled, rules)
    problems += _check_consent(flow, consent)
    sends = [step for step in compiled.steps.values() if isinstance(step, Send)]
    if flow.not_with and all(is_transactional(send.purpose) for send in sends):
        message = "`not_with` has no effect: transactional emails do not wait for other flows"
        problems.append(problem_at("not_with", "flow.W001", message, "remove `not_with`"))
    return problems


def check_rewards(flow: Flow, showing: Collection[str]) -> list[Problem]:
    """Return the sends of messages that show a reward code (`showing`) which some customers do not have.

    A pool can be empty, so after a reward with a pool only customers for whom `reward.is_given` holds certainly have a code.
    """
    problems: list[Problem] = []

    def walk(steps: tuple[Step, ...], has: bool) -> bool:
        for step in steps:
            if isinstance(step, Reward):
                has = not step.pool
            elif isinstance(step, Send) and step.message in showing and not has:
                message = (
                    f"message {step.message!r} uses reward.code, but some customers reach this step without a code"
                )
                hint = "add a `reward` before it, and check reward.is_given if the reward has a pool"
                problems.append(problem_at(step.path, "flow.E051", message, hint))
            elif branches(step):
                has = all([*ends(step, has)])
        return has

    def ends(step: Step, has: bool) -> Iterator[bool]:
        """Yield for each branch of a step whether customers have a code at its end."""
        for number, branch in enumerate(branches(step)):
            parts = _parts(step.branches[number].when) if isinstance(step, Split) else []
            yield walk(branch, has or _GIVEN in parts)
            has = has or parts == [nodes.Not(_GIVEN)]  # customers whom this branch does not take have a code
        if isinstance(step, Split) and step.branches[-1].when is not None:
            yield has

    walk(flow.steps, False)
    return problems


def check_unused_messages(versions: Sequence[Flow], messages: Collection[str]) -> list[Problem]:
    """Return the messages beside a flow that none of its versions sends."""
    used = {step.message for flow in versions for step in CompiledFlow(flow).steps.values() if isinstance(step, Send)}
    return [
        problem_at("flow", "flow.W002", f"no step sends message {name!r}", f"send it, or delete {name}.html.j2")
        for name in sorted(set(messages) - used)
    ]


def check_flows_together(flows: Sequence[Flow]) -> Iterator[tuple[Flow, Problem]]:
    """Yield conflicts between flows, each with the flow to report it at. `flows` has one version of each flow."""
    experiments: dict[str, tuple[Flow, Experiment]] = {}
    for flow in flows:
        for step in CompiledFlow(flow).steps.values():
            if not isinstance(step, Experiment):
                continue
            first, other = experiments.setdefault(step.name, (flow, step))
            if _shares(other) != _shares(step):
                message = f"experiment {step.name!r} has different branches at step {other.path} of {first.name}"
                yield (
                    flow,
                    problem_at(step.path, "flow.E052", message, "use the same branches, or rename one experiment"),
                )
    by_name = {flow.name: flow for flow in flows}
    for flow in flows:
        for name in flow.not_with:
            other_flow = by_name.get(name)
            if other_flow is not None and flow.name in other_flow.not_with and flow.name < name:
                message = f"{flow.name} and {name} wait for each other: while both run, neither sends until one ends"
                yield flow, problem_at("not_with", "flow.W003", message, "remove `not_with` from one of them")


def _shares(experiment: Experiment) -> tuple[int, tuple[tuple[str, int], ...]]:
    return experiment.holdout, tuple([(variant.name, variant.percent) for variant in experiment.variants])


def _check_branches(split: Split, flow: Flow) -> Iterator[Problem]:
    """Yield the unreachable branches of a split."""
    earlier: list[tuple[int, list[nodes.Expr]]] = []
    for number, branch in enumerate(split.branches):
        path, parts = f"{split.path}.{number}", _parts(branch.when)
        if _is_never(branch.when, flow):
            message = "unreachable branch: its condition is never true"
            yield problem_at(path, "flow.E046", message, "change the condition, or remove the branch")
            continue
        wider = next((other for other, others in earlier if all(part in parts for part in others)), None)
        if wider is not None:
            message = f"unreachable branch: branch {wider} already matches every customer"
            yield problem_at(path, "flow.E047", message, "change the order, or remove one branch")
        earlier.append((number, parts))


def _check_awaited(step: WaitFor, flow: Flow) -> Iterator[Problem]:
    """Yield a problem if the event of a wait_for can never occur."""
    if step.event in flow.exit_on and step.event in _ENDS_FIRST:
        message = f"{step.event} ends the flow (`exit_on`) before this step can continue"
        yield problem_at(step.path, "flow.E048", message, "remove it from `exit_on`, or wait for another event")
    elif _is_never(step.where, flow):
        message = "`where` is never true, so the event never occurs"
        yield problem_at(step.path, "flow.E049", message, "change the condition")


def _check_wait(step: Wait, compiled: CompiledFlow, rules: SendingRules) -> Iterator[Problem]:
    """Yield warnings: a wait that ends immediately or precedes nothing, and an email that expires during the quiet hours."""
    following = compiled.next_step[step.path]
    if following is None:
        yield problem_at(step.path, "flow.W004", "no step follows this wait", "remove it, or add a step")
        return
    if _is_over(step, compiled.flow):
        message = "this wait ends immediately: the flow does not start earlier than the wait ends"
        yield problem_at(step.path, "flow.W005", message, "remove the wait, or start the flow earlier with `before`")
    elif step.until is not None and step.until.time == "order.placed_at":
        message = "this wait ends immediately: the order was placed before the flow started"
        yield problem_at(step.path, "flow.W006", message, "wait for a duration, for example `{days: 2}`")
    send, quiet = compiled.steps[following], rules.quiet
    if not isinstance(send, Send) or is_transactional(send.purpose) or quiet is None:
        return
    if step.at is None or step.clock != "customer" or step.until is not None:
        return
    due, begins, ends = (datetime.combine(date.min, at) for at in (step.at, quiet.begins, quiet.ends))
    day = timedelta(days=1)
    if (due - begins) % day < (ends - begins) % day:
        left = (ends - due) % day
        if send.expires + timedelta(hours=1) < left:  # an hour for the nights on which clocks change
            message = (
                f"the email is due at {step.at:%H:%M} and expires before the quiet hours end at {quiet.ends:%H:%M}"
            )
            yield problem_at(following, "flow.W007", message, "wait until another time of day, or raise `expires`")


def _is_over(step: Wait, flow: Flow) -> bool:
    """Whether a wait for a launch has ended when the flow that the launch starts begins."""
    if (
        flow.trigger.on != LAUNCH
        or step.until is None
        or step.until.time != LAUNCH
        or step.at is not None
        or step.not_on
    ):
        return False
    return step.until.before >= timedelta(days=flow.trigger.before)


def _check_consent(flow: Flow, consent: ConsentPolicy) -> Iterator[Problem]:
    """Yield the emails that only customers without the required consent can reach."""

    def walk(steps: tuple[Step, ...], conditions: list[nodes.Expr]) -> Iterator[Problem]:
        for step in steps:
            if isinstance(step, Send) and _lacks_consent(step, conditions, consent):
                message = (
                    f"only customers without marketing consent reach this step, but {step.purpose} emails require it"
                )
                yield problem_at(step.path, "flow.E050", message, "change the condition, or remove the `send`")
            excluded: list[nodes.Expr] = []  # what holds for customers whom the earlier branches did not take
            for number, branch in enumerate(branches(step)):
                parts = _parts(step.branches[number].when) if isinstance(step, Split) else []
                yield from walk(branch, [*conditions, *excluded, *parts])
                excluded += [nodes.Not(parts[0])] if len(parts) == 1 else []

    yield from walk(flow.steps, _parts(flow.trigger.where))


def _lacks_consent(step: Send, conditions: list[nodes.Expr], consent: ConsentPolicy) -> bool:
    if is_transactional(step.purpose) or step.purpose in OWN_SCOPES:  # customers can agree to these alone
        return False
    if nodes.Not(nodes.Getattr(nodes.Name("customer", "load"), "has_consent", "load")) not in conditions:
        return False
    return all(line.verdict == "needs_consent" for line in consent.lines() if line.purpose == step.purpose)


def _is_never(condition: Condition | None, flow: Flow) -> bool:
    """Whether a condition is certainly false."""
    parts = _parts(condition)
    return any(
        isinstance(part, nodes.Const)
        or _ENDED_BY.get(_name(part)) in flow.exit_on
        or (_name(part) == "product.is_coming" and flow.trigger.on == LAUNCH and not flow.trigger.before)
        or nodes.Not(part) in parts
        for part in parts
    )


def _parts(condition: Condition | None) -> list[nodes.Expr]:
    """Return the parts of a condition that must all hold: an empty list if it always holds, a constant if it never does."""
    if condition is None:
        return []
    remaining: list[nodes.Expr] = [Parser(_PARSES, condition.source, state="variable").parse_expression()]
    parts: list[nodes.Expr] = []
    while remaining:
        part = remaining.pop()
        if isinstance(part, nodes.And):
            remaining += [part.left, part.right]
        elif part.find(nodes.Name) is not None:
            parts.append(part)
        elif not part.as_const(_CONTEXT):
            return [nodes.Const(False)]
    return parts


def _name(part: nodes.Expr) -> str:
    if isinstance(part, nodes.Getattr) and isinstance(part.node, nodes.Name):
        return f"{part.node.name}.{part.attr}"
    return ""
