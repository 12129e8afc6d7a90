"""The step `wait_for`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import yaml

from streams.core.instances.steps.wait_for import WaitFor
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.flow import Flow
from streams.core.rules.sending_rules import SendingRules
from streams.core.rules.trigger_names import AWAITED, is_about_order
from streams.definitions.language import schemas
from streams.definitions.language.condition_parts import is_never_true
from streams.definitions.language.durations import duration_text
from streams.definitions.language.keys import Keys
from streams.definitions.language.minutes import check_minutes
from streams.definitions.language.steps.kind import Awaited, StepKind, WaitsAt
from streams.definitions.language.steps.reader import StepReader, pairs_of
from streams.definitions.problems import Problem, problem_at

WAIT_FOR = Keys(("event", "up_to", "where", "then", "otherwise"), ("event", "up_to"))


class WaitForKind(StepKind[WaitFor]):
    """A step that waits for an event."""

    step = WaitFor
    key = "wait_for"
    mappings = (WAIT_FOR,)
    box = "wait"

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> WaitFor:
        """Return a wait for an event, with both of its branches."""
        values = reader.mapping(node, *WAIT_FOR)
        event = reader.event(values["event"], AWAITED, "event") if "event" in values else AWAITED[0]
        if event.startswith("mail.") and not reader.has_sent:
            message = f"no `send` precedes this step, so {event} cannot occur"
            reader.error("flow.E031", values["event"], message, "add a `send` before it")
        if event != "order.placed" and is_about_order(event) and not is_about_order(reader.trigger.on):
            reader.mismatch("flow.E004", values["event"], reader.lacks("order"), "wait for another event")
        up_to = reader.limit(values["up_to"]) if "up_to" in values else timedelta(days=1)
        around = reader.awaited
        reader.awaited = (*around, event)
        where = reader.condition(values["where"], reader.scope) if "where" in values else None
        then = reader.branch(values.get("then"), path, 0)
        reader.awaited = around
        otherwise = reader.branch(values.get("otherwise"), path, 1)
        is_in_m = "up_to" in values and reader.text(values["up_to"]).endswith("m")
        return WaitFor(
            path=path, event=event, up_to=up_to, where=where, then=then, otherwise=otherwise, is_in_m=is_in_m
        )

    def schema(self) -> schemas.Schema:
        """Return a mapping."""
        properties = {
            "event": schemas.one_of(*AWAITED),
            "up_to": schemas.SPAN,
            "where": schemas.CONDITION,
            "then": schemas.STEPS,
            "otherwise": schemas.STEPS,
        }
        return schemas.mapping(WAIT_FOR, properties, WaitFor)

    def text(self, step: WaitFor, flow: Flow) -> str:
        """Return the event and the longest wait."""
        where = f", where {step.where.source}" if step.where is not None else ""
        return f"wait for {step.event}{where}, {duration_text(step.up_to)} at most"

    def labels(self, step: WaitFor) -> tuple[str, ...]:
        """Return whether the event occurred in time."""
        return "in time", "not in time"

    def branch_nodes(self, node: yaml.Node) -> list[tuple[yaml.Node | None, yaml.Node | None]]:
        """Return both branches."""
        values = dict(pairs_of(node))
        return [(values.get(name), values.get(name)) for name in ("then", "otherwise")]

    def check(self, step: WaitFor, compiled: CompiledFlow, rules: SendingRules) -> Iterator[Problem]:
        """Yield a problem if the event can never occur, and a warning if the longest wait may be meant in months."""
        yield from check_minutes(step, compiled)
        flow = compiled.flow
        if step.event in flow.exit_on:
            message = f"{step.event} ends the flow (`exit_on`) before this step can continue"
            yield problem_at(step.path, "flow.E048", message, "remove it from `exit_on`, or wait for another event")
        elif is_never_true(step.where, flow):
            message = "`where` is never true, so the event never occurs"
            yield problem_at(step.path, "flow.E049", message, "change the condition")

    def waits_at(self, step: WaitFor) -> WaitsAt:
        """Return the step itself."""
        return "step"

    def awaited(self, step: WaitFor) -> Awaited:
        """Return the event."""
        return Awaited(step.event, "event")

    def longest(self, step: WaitFor) -> timedelta:
        """Return the longest wait for the event."""
        return step.up_to
