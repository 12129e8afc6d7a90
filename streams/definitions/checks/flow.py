"""Checks of flows that are written correctly: unreachable steps, events that cannot occur, emails that are never sent.

Only certain problems are reported. A flow without any may still be redundant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta

from jinja2 import nodes

from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.consent_policy import ConsentPolicy, is_transactional
from streams.core.rules.flow import Experiment, Flow, Send, Split, Wait, WaitFor
from streams.core.rules.sending_rules import SendingRules
from streams.core.rules.trigger_names import LAUNCH
from streams.definitions.checks.conditions import is_never_true, parts_of
from streams.definitions.checks.expiry import check_expiry
from streams.definitions.checks.recipients import check_consent
from streams.definitions.checks.transactional import check_transactional
from streams.definitions.problems import Problem, problem_at

# Events that end an instance before its wait_for can continue with them.
_ENDS_FIRST = frozenset(("order.placed", "order.paid", "order.refunded", "order.cancelled", "shipment.returned"))


def check_flow(flow: Flow, rules: SendingRules, consent: ConsentPolicy) -> list[Problem]:
    """Return the problems of one flow under the shop's sending rules and consent policy."""
    compiled = CompiledFlow(flow)
    problems: list[Problem] = []
    if is_never_true(flow.trigger.where, flow):
        message = "this condition is never true, so the flow never starts"
        problems.append(problem_at("trigger.where", "flow.E043", message, "change the condition"))
    if is_never_true(flow.trigger.threshold, flow):
        message = "this threshold is never reached, so the flow never starts"
        problems.append(problem_at("trigger.threshold", "flow.E043", message, "change the condition"))
    if is_never_true(flow.goal, flow):
        message = "this condition is never true, so no customer reaches the goal"
        problems.append(problem_at("goal", "flow.E044", message, "change the condition"))
    elif flow.goal is not None and not parts_of(flow.goal):
        message = "this condition is always true, so every customer leaves the flow at once"
        problems.append(problem_at("goal", "flow.E045", message, "change the condition"))
    for step in compiled.steps.values():
        if isinstance(step, Split):
            problems += _check_branches(step, flow)
        elif isinstance(step, WaitFor):
            problems += _check_awaited(step, flow)
        elif isinstance(step, Wait):
            problems += _check_wait(step, compiled)
    problems += check_expiry(compiled, rules)
    problems += check_consent(flow, consent)
    problems += check_transactional(flow)
    sends = [step for step in compiled.steps.values() if isinstance(step, Send)]
    if flow.not_with and all(is_transactional(send.purpose) for send in sends):
        message = "`not_with` has no effect: transactional emails do not wait for other flows"
        problems.append(problem_at("not_with", "flow.W001", message, "remove `not_with`"))
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
        path, parts = f"{split.path}.{number}", parts_of(branch.when)
        if is_never_true(branch.when, flow):
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
    elif is_never_true(step.where, flow):
        message = "`where` is never true, so the event never occurs"
        yield problem_at(step.path, "flow.E049", message, "change the condition")


def _check_wait(step: Wait, compiled: CompiledFlow) -> Iterator[Problem]:
    """Yield warnings: a wait that ends immediately, and one that precedes nothing."""
    if compiled.next_step[step.path] is None:
        yield problem_at(step.path, "flow.W004", "no step follows this wait", "remove it, or add a step")
        return
    if _is_over(step, compiled.flow):
        message = "this wait ends immediately: the flow does not start earlier than the wait ends"
        yield problem_at(step.path, "flow.W005", message, "remove the wait, or start the flow earlier with `before`")
    elif step.until is not None and step.until.time == "order.placed_at":
        message = "this wait ends immediately: the order was placed before the flow started"
        yield problem_at(step.path, "flow.W006", message, "wait for a duration, for example `{days: 2}`")


def _is_over(step: Wait, flow: Flow) -> bool:
    """Return whether a wait for a launch has ended when the flow that the launch starts begins."""
    if (
        flow.trigger.on != LAUNCH
        or step.until is None
        or step.until.time != LAUNCH
        or step.at is not None
        or step.not_on
    ):
        return False
    return step.until.before >= timedelta(days=flow.trigger.before)
