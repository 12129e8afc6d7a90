"""The effect of an event on a customer's flows: which start, move or end, and why the others do not start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

from msgspec import Struct
from msgspec.structs import replace

from streams.core.conditions.context import EvalContext
from streams.core.engine import advance
from streams.core.handlers.erasure import FOLLOW_UPS, is_known
from streams.core.model.customer import Customer
from streams.core.model.effects import EmitSignal, LogDecision
from streams.core.model.events import Event, ShipmentUpdated
from streams.core.model.instance import EARLIER_ID, Instance
from streams.core.model.unit_of_work import UnitOfWork
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Condition, Flow, Send
from streams.core.rules.ruleset import Ruleset
from streams.core.sending import consent, smart_sending
from streams.core.values import local_time
from streams.definitions.language.condition_values import values_of
from streams.definitions.language.durations import duration_text
from streams.definitions.views.words import step_text, trigger_text
from streams.tools.operations.customer_story import format_time, waiting_text
from streams.tools.operations.rule_texts import decision_text, value_text

Result: TypeAlias = Literal["starts", "continues", "ends", "scheduled", "does not start"]
#: The results in the order in which flows are listed. Of several instances of a flow, the first result is that of the flow.
_RESULTS: tuple[Result, ...] = get_args(Result)
#: Rules that keep a flow from starting, although the event is its trigger.
NOT_STARTED = frozenset(("where", "too_old", "imported", "already_delivered", "left_segment"))
#: Rules that would defer an email and last longer than a night.
_PAUSES = frozenset(("order_late", "refunded", "calm_series", "clash"))
_FINISHED = "the flow is finished"
#: The start of the reason of a flow that another event starts.
NOT_TRIGGER = "the event is not its trigger"
#: The start of the reason of a flow that a later event starts.
NOT_YET = "it starts when the last parcel"


class FlowExplanation(Struct, frozen=True, kw_only=True):
    """The effect of the event on one flow.

    Attributes:
        flow: the name of the flow.
        version: its newest version.
        status: `live`, `draft` or `paused`.
        result: what happens.
        reason: the first reason why the flow does not start; "" otherwise.
        steps: what happens step by step, one sentence each.
    """

    flow: str
    version: int
    status: str
    result: Result
    reason: str = ""
    steps: tuple[str, ...] = ()


class Explanation(Struct, frozen=True, kw_only=True):
    """The effect of an event on a customer.

    Attributes:
        customer_id: the customer.
        notes: what concerns the whole event, one sentence each.
        flows: every flow. Those that start, continue or end are first.
    """

    customer_id: str
    notes: tuple[str, ...]
    flows: tuple[FlowExplanation, ...]


def explain(ruleset: Ruleset, state: Customer, event: Event, now: datetime) -> Explanation:
    """Explain what an event would do to a customer's flows. Nothing is changed.

    Args:
        ruleset: the flows and the shop's rules.
        state: the customer before the event.
        event: the event.
        now: the time of the decision, UTC.
    """
    tried = _Tried()
    after, effects = advance(ruleset.with_flows(map(tried.watch, ruleset.flows)), state, event, now)
    decisions = [effect for effect in effects if isinstance(effect, LogDecision)]
    notes = [f"{each.outcome}: {decision_text(each.rule, each.detail)}" for each in decisions if not each.flow]
    ignored = no_order = ""
    known = {order.order_id for order in after.orders if order.facts is not None}
    if state.merge is not None and state.merge.into:
        ignored = f"the customer was merged into {state.merge.into}, who gets the event: explain it for that id"
    elif type(event) in FOLLOW_UPS and not is_known(state):
        ignored = "nothing changes: the customer is unknown, and such an event counts only for a known one"
    elif after == state and not effects:
        ignored = (
            "nothing changes: the customer's state already contains the event, or it is about nothing that is stored"
        )
    elif isinstance(event, ShipmentUpdated) and event.order_id not in known:
        no_order = f"the order {event.order_id} is unknown: flows about its parcels start once it is placed"
    notes += [note for note in (ignored, no_order) if note]
    change = _Change(ruleset, state, after, decisions, now)
    change.signals = [effect for effect in effects if isinstance(effect, EmitSignal)]
    blocks = _Blocks(ruleset, state, event, now, ignored, no_order)
    names = {each.flow.name: each for each in map(ruleset.newest_flow, ruleset.by_name) if each is not None}
    flows = [change.of_flow(each) or _not_started(each.flow, tried, blocks, change) for each in names.values()]
    return Explanation(
        customer_id=state.customer_id,
        notes=tuple(notes),
        flows=tuple(sorted(flows, key=lambda flow: (_RESULTS.index(flow.result), flow.flow))),
    )


class _Tried:
    """Watches flows: which of them an event triggers, and what their condition is then.

    Attributes:
        rejected: the names in the condition of each flow that was triggered, with their values at the time; empty if it held.
    """

    def __init__(self) -> None:
        self.rejected: dict[str, dict[str, Any]] = {}

    def watch(self, flow: Flow) -> Flow:
        """Return a flow that starts as `flow` does."""
        where = flow.trigger.where

        def holds(context: EvalContext) -> bool:
            is_true = where is None or where.holds(context)
            self.rejected[flow.name] = values_of(where, context) if where is not None and not is_true else {}
            return is_true

        watched = Condition("", holds) if where is None else replace(where, holds=holds)
        return replace(flow, trigger=replace(flow.trigger, where=watched))


class _Blocks:
    """Finds what keeps a flow from being triggered: without it, the event triggers the flow.

    `ignored` is why the event starts no flow at all, and `no_order` why it starts no flow about parcels; both may be empty.
    """

    def __init__(
        self, ruleset: Ruleset, state: Customer, event: Event, now: datetime, ignored: str, no_order: str
    ) -> None:
        self._ignored, self._no_order = ignored, no_order
        fresh = replace(state, instances=(), finished_fingerprints=b"", last_starts=())
        self.is_repeated = self._triggered(ruleset, fresh, event, now)
        each = [replace(flow, trigger=replace(flow.trigger, which="each")) for flow in ruleset.flows]
        self.is_of_last_parcel = self._triggered(ruleset.with_flows(each), fresh, event, now)
        service: list[Flow] = [replace(flow, purpose="service") for flow in ruleset.flows]
        self.is_of_forgotten = self._triggered(ruleset.with_flows(service), fresh, event, now)

    def of_event(self, flow: Flow) -> str:
        """Return why the event starts no flow of this kind, or ""."""
        return self._ignored or (self._no_order if flow.trigger.on.startswith("shipment.") else "")

    @staticmethod
    def _triggered(ruleset: Ruleset, state: Customer, event: Event, now: datetime) -> frozenset[str]:
        tried = _Tried()
        advance(ruleset.with_flows(map(tried.watch, ruleset.flows)), state, event, now)
        return frozenset(tried.rejected)


def _not_started(flow: Flow, tried: _Tried, blocks: _Blocks, change: _Change) -> FlowExplanation:
    trigger = flow.trigger
    if (decided := next(iter(change.of_name(flow.name)), None)) is not None:
        values = tried.rejected.get(flow.name) if decided.rule == "where" else None
        named = f"; {', '.join([f'{name} is {value_text(value)}' for name, value in values.items()])}" if values else ""
        reason = decision_text(decided.rule, decided.detail) + named
    elif flow.name in tried.rejected:  # its condition held, and it has no decision and no wait
        done = [f"step {each.step}: signal {each.kind}" for each in change.signals if each.flow == flow.name]
        return FlowExplanation(
            flow=flow.name, version=flow.version, status=flow.status, result="starts", steps=(*done, _FINISHED)
        )
    elif flow.name in blocks.is_repeated and trigger.again_after is not None:
        reason = f"it started less than {duration_text(trigger.again_after)} ago (again_after)"
    elif flow.name in blocks.is_repeated:
        reason = f"it already started for this {trigger.once_per} (once_per: {trigger.once_per})"
    elif flow.name in blocks.is_of_last_parcel:
        reason = f"{NOT_YET} of the order is {trigger.on.partition('.')[2]} (which: last)"
    elif flow.name in blocks.is_of_forgotten:
        reason = "the order is no longer stored, so only transactional flows start"
    else:
        reason = blocks.of_event(flow) or f"{NOT_TRIGGER}: it starts on {trigger_text(flow)}"
    waiting = tuple([change.wait_of(each) for each in change.after.instances if each.flow == flow.name])
    return FlowExplanation(
        flow=flow.name, version=flow.version, status=flow.status, result="does not start", reason=reason, steps=waiting
    )  # fmt: skip


class _Change:
    """A customer before and after an event, with the decisions about it."""

    def __init__(
        self, ruleset: Ruleset, before: Customer, after: Customer, decisions: list[LogDecision], now: datetime
    ) -> None:
        self.ruleset, self.after, self.decisions, self.now = ruleset, after, decisions, now
        self.signals: list[EmitSignal] = []
        self.before = {instance.instance_id: instance for instance in before.instances}

    def of_name(self, flow: str) -> list[LogDecision]:
        """Return the decisions about a flow."""
        return [decision for decision in self.decisions if decision.flow == flow]

    def of_flow(self, compiled: CompiledFlow) -> FlowExplanation | None:
        """Return what happens to a flow, or None if it neither starts nor moves."""
        flow = compiled.flow
        after = {each.instance_id: each for each in self.after.instances if each.flow == flow.name}
        decided: dict[str, list[LogDecision]] = {}
        for decision in self.of_name(flow.name):
            decided.setdefault(decision.instance_id, []).append(decision)
        ended = [key for key, each in self.before.items() if each.flow == flow.name and key not in after]
        results, steps = list[Result](), list[str]()
        for key in dict.fromkeys((*decided, *ended, *after)):
            instance, logged = after.get(key), decided.get(key, [])
            if instance is not None and instance == self.before.get(key) and not logged:
                continue
            result = self._result(flow, key, instance, logged)
            if result is None or (instance is None and any(_earlier(each) == key for each in after.values())):
                continue
            results.append(result)
            steps += map(_step_of, logged)
            steps += self.ahead(compiled, instance) if instance is not None else [_FINISHED]
        if not results:
            return None
        return FlowExplanation(
            flow=flow.name,
            version=flow.version,
            status=flow.status,
            result=min(results, key=_RESULTS.index),
            steps=tuple(steps),
        )

    def _result(self, flow: Flow, key: str, instance: Instance | None, logged: list[LogDecision]) -> Result | None:
        is_known = key in self.before or (instance is not None and _earlier(instance) in self.before)
        if is_known:
            return "ends" if instance is None else "continues"
        if instance is not None:
            return "starts" if instance.has_started else "scheduled"
        first = logged[0]
        is_held_out = first.rule == "holdout" and bool(flow.holdout) and first.send_id is None
        is_kept_out = first.rule in NOT_STARTED or first.outcome == "exit" or is_held_out
        return None if is_kept_out or first.rule == "instances" else "starts"

    def wait_of(self, instance: Instance) -> str:
        """Return what an instance waits for, and until when."""
        at = f"at step {instance.step} " if instance.has_started else ""
        return f"waits {at}until {format_time(instance.due_at)}: {waiting_text(instance)}"

    def ahead(self, compiled: CompiledFlow, instance: Instance) -> Iterator[str]:
        """Yield what an instance waits for, and its steps after that as far as there is one path only."""
        yield self.wait_of(instance)
        known = self.ruleset.find_flow(instance.flow, instance.flow_version, instance.step) or compiled
        path: str | None = instance.step if instance.has_started else known.first
        while path is not None:
            step = known.steps[path]
            if path != instance.step or not instance.awaits:
                yield f"then step {path}: {step_text(step, known.flow)}"
            if isinstance(step, Send):
                yield from self._obstacle(known.flow, step, instance)
                return
            if step.inner:
                return
            path = known.next_step[path]

    def _obstacle(self, flow: Flow, step: Send, instance: Instance) -> Iterable[str]:
        """Yield what would keep the email from being sent if it were due now."""
        uow = UnitOfWork(self.ruleset, self.after, self.now, self.now)
        order = uow.order(instance.order_id) if instance.order_id else None
        decision = consent.decide(uow, step.purpose, order)
        if not decision.is_allowed:
            yield f"as of now, step {step.path} would send nothing: {decision_text(decision.rule, decision.basis)}"
            return
        zone, country = uow.zone_of(order), consent.country_of(uow, order)
        not_after = self.now + local_time.scale(step.expires, self.ruleset.day_scale)
        deferral = smart_sending.check(uow, flow, step, instance.instance_id, not_after, zone, country)
        if deferral is not None and deferral.rule in _PAUSES:
            yield f"as of now, step {step.path} would wait: {decision_text(deferral.rule, deferral.text)}"


def _earlier(instance: Instance) -> str:
    return next((value for name, value in instance.own_data if name == EARLIER_ID), "")


def _step_of(decision: LogDecision) -> str:
    return f"step {decision.step}: {decision.outcome}: {decision_text(decision.rule, decision.detail)}"


def format_explanation(explanation: Explanation) -> list[str]:
    """Return the lines that `takk flows explain` prints."""
    lines = [f"customer {explanation.customer_id} (times in UTC)", *(f"  note: {note}" for note in explanation.notes)]
    for flow in explanation.flows:
        status = "" if flow.status == "live" else f" ({flow.status})"
        reason = f": {flow.reason}" if flow.reason else ""
        lines.append(f"{flow.flow} v{flow.version}{status} {flow.result}{reason}")
        lines += [f"  {step}" for step in flow.steps]
    return lines
