"""What is wrong with a flow that is written as it should be: steps that nobody ever comes to, mails that never go.

Only what is certain is told: whatever these rules do not find may still be pointless.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta

from jinja2 import Environment, nodes
from jinja2.parser import Parser
from msgspec import Struct

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

_PARSES = Environment(autoescape=True)  # only its parser is used: nothing is rendered
_CONTEXT = nodes.EvalContext(_PARSES)
# What is never true in a flow that the event ends: by then the run is over.
_ENDED_BY = {
    "order.is_paid": "order.paid",
    "order.is_refunded": "order.refunded",
    "order.is_cancelled": "order.cancelled",
    "customer.is_unsubscribed": "customer.unsubscribed",
}
# Events that end a run before it can go on with them.
_ENDS_FIRST = frozenset(("order.placed", "order.paid", "order.refunded", "order.cancelled", "shipment.returned"))


_GIVEN = nodes.Getattr(nodes.Name("reward", "load"), "is_given", "load")


class Finding(Struct, frozen=True):
    """One thing that is wrong, at the `place` in the flow (see flow_places.py). A warning is no error: the flow can run."""

    place: str
    problem: str
    remedy: str
    is_error: bool = True


def guard_flow(flow: Flow, rules: SendingRules, consent: ConsentPolicy) -> list[Finding]:
    """What is wrong with one flow under the shop's rules and its consent policy."""
    compiled = CompiledFlow(flow)
    found: list[Finding] = []
    if _is_never(flow.trigger.where, flow):
        found.append(Finding("trigger.where", "this is never true, so the flow never begins", "change the condition"))
    if _is_never(flow.goal, flow):
        found.append(Finding("goal", "this is never true, so nobody reaches the goal", "change the condition"))
    elif flow.goal is not None and not _parts(flow.goal):
        found.append(Finding("goal", "this is always true, so everybody leaves at once", "change the condition"))
    for step in compiled.steps.values():
        if isinstance(step, Split):
            found += _arms(step, flow)
        elif isinstance(step, WaitFor):
            found += _awaited(step, flow)
        elif isinstance(step, Wait):
            found += _waits(step, compiled, rules)
    found += _never_allowed(flow, consent)
    sends = [step for step in compiled.steps.values() if isinstance(step, Send)]
    if flow.not_with and all(is_transactional(send.purpose) for send in sends):
        remedy = "take not_with out"
        found.append(Finding("not_with", "mails that are owed wait for no other flow", remedy, is_error=False))
    return found


def guard_rewards(flow: Flow, showing: Collection[str]) -> list[Finding]:
    """The sends of messages that show the code of a reward (`showing`), to which somebody without a code may come.

    A pool may be empty: whoever asked one has a code for sure only where `reward.is_given` holds.
    """
    found: list[Finding] = []

    def walk(steps: tuple[Step, ...], has: bool) -> bool:
        for step in steps:
            if isinstance(step, Reward):
                has = not step.pool
            elif isinstance(step, Send) and step.message in showing and not has:
                problem = f"the mail {step.message} shows reward.code, and who comes here may have none"
                found.append(
                    Finding(step.path, problem, "give a reward before, and ask reward.is_given if it is of a pool")
                )
            elif branches(step):
                has = all([*ends(step, has)])
        return has

    def ends(step: Step, has: bool) -> Iterator[bool]:
        """Whether those have a code who go on behind a step, one way after the other."""
        for number, branch in enumerate(branches(step)):
            asked = _parts(step.branches[number].when) if isinstance(step, Split) else []
            yield walk(branch, has or _GIVEN in asked)
            has = has or asked == [nodes.Not(_GIVEN)]  # who comes past this arm has one
        if isinstance(step, Split) and step.branches[-1].when is not None:
            yield has

    walk(flow.steps, False)
    return found


def guard_messages(versions: Sequence[Flow], messages: Collection[str]) -> list[Finding]:
    """The messages beside a flow that none of its versions sends."""
    used = {step.message for flow in versions for step in CompiledFlow(flow).steps.values() if isinstance(step, Send)}
    return [
        Finding("flow", f"no step sends the message {name!r}", f"send it, or take {name}.html.j2 away", is_error=False)
        for name in sorted(set(messages) - used)
    ]


def guard_together(flows: Sequence[Flow]) -> Iterator[tuple[Flow, Finding]]:
    """What does not go together, and the flow to tell it at. `flows` has one version of each."""
    known: dict[str, tuple[Flow, Experiment]] = {}
    for flow in flows:
        for step in CompiledFlow(flow).steps.values():
            if not isinstance(step, Experiment):
                continue
            first, other = known.setdefault(step.name, (flow, step))
            if _shares(other) != _shares(step):
                where = f"step {other.path} of {first.name}"
                problem = f"the experiment {step.name!r} has other arms here than in {where}"
                yield flow, Finding(step.path, problem, "give it the same arms, or a name of its own")
    by_name = {flow.name: flow for flow in flows}
    for flow in flows:
        for name in flow.not_with:
            other_flow = by_name.get(name)
            if other_flow is not None and flow.name in other_flow.not_with and flow.name < name:
                problem = f"{flow.name} and {name} wait for each other: where both run, neither sends until one ends"
                yield flow, Finding("not_with", problem, "let only one of them wait", is_error=False)


def _shares(experiment: Experiment) -> tuple[int, tuple[tuple[str, int], ...]]:
    return experiment.holdout, tuple([(arm.name, arm.percent) for arm in experiment.variants])


def _arms(split: Split, flow: Flow) -> Iterator[Finding]:
    """The arms that nobody goes."""
    earlier: list[tuple[int, list[nodes.Expr]]] = []
    for number, arm in enumerate(split.branches):
        place, parts = f"{split.path}.{number}", _parts(arm.when)
        if _is_never(arm.when, flow):
            yield Finding(place, "this arm's condition is never true", "change it, or take the arm out")
            continue
        taking = next((other for other, asked in earlier if all(part in parts for part in asked)), None)
        if taking is not None:
            problem = f"this arm is never taken: arm {taking} before it takes all who come here"
            yield Finding(place, problem, "change their order, or take one out")
        earlier.append((number, parts))


def _awaited(step: WaitFor, flow: Flow) -> Iterator[Finding]:
    """The event that never comes."""
    if step.event in flow.exit_on and step.event in _ENDS_FIRST:
        problem = f"{step.event} ends the flow (exit_on) before this step hears of it"
        yield Finding(step.path, problem, "take it out of exit_on, or wait for something else")
    elif _is_never(step.where, flow):
        yield Finding(step.path, "its where is never true, so the event never comes", "change the condition")


def _waits(step: Wait, compiled: CompiledFlow, rules: SendingRules) -> Iterator[Finding]:
    """The wait that nothing follows, and the mail that is too old by the end of the quiet hours."""
    following = compiled.next_step[step.path]
    if following is None:
        yield Finding(step.path, "nothing comes after this wait", "take it out, or add a step", is_error=False)
        return
    if _is_over(step, compiled.flow):
        problem = "the flow begins no earlier than this wait ends, so it is over at once"
        yield Finding(step.path, problem, "take it out, or begin the flow earlier (before)", is_error=False)
    elif step.until is not None and step.until.time == "order.placed_at":
        problem = "the order was placed before the flow came here, so this moment has passed"
        yield Finding(step.path, problem, "wait for a time span, for example {days: 2}", is_error=False)
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
            problem = f"it falls due at {step.at:%H:%M} and expires before the quiet hours end at {quiet.ends:%H:%M}"
            remedy = "wait for another time of day, or let it expire later"
            yield Finding(following, problem, remedy, is_error=False)


def _is_over(step: Wait, flow: Flow) -> bool:
    """Whether a wait for a launch is over when the flow that the launch starts begins."""
    if (
        flow.trigger.on != LAUNCH
        or step.until is None
        or step.until.time != LAUNCH
        or step.at is not None
        or step.not_on
    ):
        return False
    return step.until.before >= timedelta(days=flow.trigger.before)


def _never_allowed(flow: Flow, consent: ConsentPolicy) -> Iterator[Finding]:
    """The mails that only those come to who did not agree to what the mail needs."""

    def look(steps: tuple[Step, ...], asked: list[nodes.Expr]) -> Iterator[Finding]:
        for step in steps:
            if isinstance(step, Send) and _needs_what_is_refused(step, asked, consent):
                problem = f"only who has not agreed to marketing comes here, and mails for {step.purpose} need that"
                yield Finding(step.path, problem, "ask for another condition, or send nothing")
            passed: list[nodes.Expr] = []  # what does not hold for who came past the arms before
            for number, branch in enumerate(branches(step)):
                own = _parts(step.branches[number].when) if isinstance(step, Split) else []
                yield from look(branch, [*asked, *passed, *own])
                passed += [nodes.Not(own[0])] if len(own) == 1 else []

    yield from look(flow.steps, _parts(flow.trigger.where))


def _needs_what_is_refused(step: Send, asked: list[nodes.Expr], consent: ConsentPolicy) -> bool:
    if is_transactional(step.purpose) or step.purpose in OWN_SCOPES:  # those can be agreed to by themselves
        return False
    if nodes.Not(nodes.Getattr(nodes.Name("customer", "load"), "has_consent", "load")) not in asked:
        return False
    return all(line.verdict == "needs_consent" for line in consent.lines() if line.purpose == step.purpose)


def _is_never(condition: Condition | None, flow: Flow) -> bool:
    """Whether a condition is certain to be false."""
    parts = _parts(condition)
    return any(
        isinstance(part, nodes.Const)
        or _ENDED_BY.get(_name(part)) in flow.exit_on
        or (_name(part) == "product.is_coming" and flow.trigger.on == LAUNCH and not flow.trigger.before)
        or nodes.Not(part) in parts
        for part in parts
    )


def _parts(condition: Condition | None) -> list[nodes.Expr]:
    """What must hold all together for a condition to hold; none for one that always does. One that never does has a constant in it."""
    if condition is None:
        return []
    ahead: list[nodes.Expr] = [Parser(_PARSES, condition.source, state="variable").parse_expression()]
    found: list[nodes.Expr] = []
    while ahead:
        part = ahead.pop()
        if isinstance(part, nodes.And):
            ahead += [part.left, part.right]
        elif part.find(nodes.Name) is not None:
            found.append(part)
        elif not part.as_const(_CONTEXT):
            return [nodes.Const(False)]
    return found


def _name(part: nodes.Expr) -> str:
    if isinstance(part, nodes.Getattr) and isinstance(part.node, nodes.Name):
        return f"{part.node.name}.{part.attr}"
    return ""
