"""Checks of flows that are written correctly: unreachable steps, events that cannot occur, emails that are never sent.

Only certain problems are reported. A flow without any may still be redundant.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from streams.core.instances.steps.experiment import Experiment
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.consent_policy import ConsentPolicy, is_transactional
from streams.core.rules.flow import Flow, Send
from streams.core.rules.sending_rules import SendingRules
from streams.core.values.text import nearest, similar
from streams.definitions.checks.any_hour import check_any_hour
from streams.definitions.checks.documents import check_documents
from streams.definitions.checks.expiry import check_expiry
from streams.definitions.checks.recipients import check_consent
from streams.definitions.checks.transactional import check_transactional
from streams.definitions.language.condition_parts import is_never_true, parts_of
from streams.definitions.language.steps.kinds import kind_of
from streams.definitions.problems import Problem, problem_at


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
        problems += kind_of(step).check(step, compiled, rules)
    problems += check_expiry(compiled, rules)
    problems += check_consent(flow, consent)
    problems += check_transactional(flow)
    problems += check_any_hour(flow, consent)
    problems += check_documents(compiled)
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


def check_not_with(
    flows: Sequence[Flow], known: Sequence[str], series: Collection[str]
) -> Iterator[tuple[Flow, Problem]]:
    """Yield unknown names in `not_with`, each with the flow to report it at.

    Args:
        flows: one version of each flow.
        known: the names of flows.
        series: the names of series of other systems, of `rules.yaml`.
    """
    names = [*known, *series]
    for flow in flows:
        for other in [name for name in flow.not_with if name not in names]:
            message = f"unknown flow {other!r} in `not_with`, and rules.yaml (`outside`) has no such series"
            hint = nearest(other, names)
            if similar(other, names) is None:
                hint = f"if it is a series of another system, add it to `outside` in rules.yaml; {hint}"
            yield flow, problem_at("not_with", "flow.E053", message, hint)


def _shares(experiment: Experiment) -> tuple[int, tuple[tuple[str, int], ...]]:
    return experiment.holdout, tuple([(variant.name, variant.percent) for variant in experiment.variants])
