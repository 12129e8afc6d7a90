"""Checks of the customers who reach a send: whether they have the required consent, and a code if the message shows one."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from jinja2 import nodes

from streams.core.instances.steps.split import Split
from streams.core.rules.consent_policy import OWN_SCOPES, ConsentPolicy, is_transactional
from streams.core.rules.flow import Flow, Reward, Send, Step
from streams.core.rules.trigger_names import REWARD_EXPIRING
from streams.definitions.language.condition_parts import parts_of
from streams.definitions.problems import Problem, problem_at

_GIVEN = nodes.Getattr(nodes.Name("reward", "load"), "is_given", "load")
_NO_CONSENT = nodes.Not(nodes.Getattr(nodes.Name("customer", "load"), "has_consent", "load"))


def check_rewards(flow: Flow, showing: Collection[str]) -> list[Problem]:
    """Return the sends of messages that show a reward code (`showing`) which some customers do not have.

    A pool can be empty, so after a reward with a pool only customers for whom `reward.is_given` holds certainly have a code.
    """
    problems: list[Problem] = []

    def walk(steps: tuple[Step, ...], has_code: bool) -> bool:
        for step in steps:
            if isinstance(step, Reward):
                has_code = step.is_signed
            elif isinstance(step, Send) and step.message in showing and not has_code:
                message = (
                    f"message {step.message!r} uses reward.code, but some customers reach this step without a code"
                )
                hint = "add a `reward` before it, and check reward.is_given if the reward has a pool"
                problems.append(problem_at(step.path, "flow.E051", message, hint))
            elif step.inner:
                has_code = all([*ends(step, has_code)])
        return has_code

    def ends(step: Step, has_code: bool) -> Iterator[bool]:
        """Yield for each branch of a step whether customers have a code at its end."""
        for number, branch in enumerate(step.inner):
            parts = parts_of(step.branches[number].when) if isinstance(step, Split) else []
            yield walk(branch, has_code or _GIVEN in parts)
            has_code = has_code or parts == [nodes.Not(_GIVEN)]  # customers whom this branch does not take have a code
        if step.falls_through:
            yield has_code

    walk(flow.steps, flow.trigger.on == REWARD_EXPIRING)
    return problems


def check_consent(flow: Flow, consent: ConsentPolicy) -> Iterator[Problem]:
    """Yield the emails that only customers without the required consent can reach.

    A shop without a `consent.yaml` gets none: the strictest policy applies until it has one, and the shipped flows must load.
    """
    if consent.is_built_in:
        return

    def walk(steps: tuple[Step, ...], conditions: list[nodes.Expr]) -> Iterator[Problem]:
        for step in steps:
            if isinstance(step, Send) and _lacks_consent(step, conditions, consent):
                message = (
                    f"only customers without marketing consent reach this step, but {step.purpose} emails require it"
                )
                yield problem_at(step.path, "flow.E050", message, "change the condition, or remove the `send`")
            excluded: list[nodes.Expr] = []  # what holds for customers whom the earlier branches did not take
            for number, branch in enumerate(step.inner):
                parts = parts_of(step.branches[number].when) if isinstance(step, Split) else []
                yield from walk(branch, [*conditions, *excluded, *parts])
                excluded += [nodes.Not(parts[0])] if len(parts) == 1 else []

    yield from walk(flow.steps, parts_of(flow.trigger.where))


def _lacks_consent(step: Send, conditions: list[nodes.Expr], consent: ConsentPolicy) -> bool:
    if is_transactional(step.purpose) or step.purpose in OWN_SCOPES:  # customers can agree to these alone
        return False
    if _NO_CONSENT not in conditions:
        return False
    return all(line.verdict == "needs_consent" for line in consent.lines() if line.purpose == step.purpose)
