"""The step `wait`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import get_args

import yaml

from streams.core.instances.steps.wait import TargetTime, Wait, WaitTarget
from streams.core.rules.compiled_flow import CompiledFlow
from streams.core.rules.consent_policy import is_transactional
from streams.core.rules.flow import Clock, Flow, Send
from streams.core.rules.sending_rules import SendingRules
from streams.core.rules.trigger_names import CATALOGUE_CHANGES, LAUNCH, is_about_order
from streams.core.values.local_time import WEEKDAYS
from streams.core.values.text import counted
from streams.definitions.language import keys, schemas
from streams.definitions.language.durations import duration_text
from streams.definitions.language.keys import Keys
from streams.definitions.language.minutes import check_minutes
from streams.definitions.language.steps.kind import StepKind, WaitsAt
from streams.definitions.language.steps.reader import StepReader
from streams.definitions.language.yaml_reader import CLOCK
from streams.definitions.problems import Problem, problem_at

WAIT = Keys(("months", "days", "hours", "minutes", "at", "clock", "on", "not_on", "until", "before", "lasts"))
#: A wait has at least one.
WAIT_LENGTHS = ("months", "days", "hours", "minutes", "at", "on", "until")
#: A month at its longest, and the most that `at`, and a weekday, add to a wait.
_MONTH, _DAY, _WEEK = timedelta(days=31), timedelta(days=1), timedelta(days=7)
#: Ends that may be far from the order. A delivery window and the order itself are near.
_FAR = ("product.runs_out", "product.launch")


class WaitKind(StepKind[Wait]):
    """A step that waits for a time."""

    step = Wait
    key = "wait"
    mappings = (WAIT,)
    box = "wait"

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> Wait:
        """Return a wait: a duration, or a mapping."""
        if isinstance(node, yaml.ScalarNode):
            months = keys.MONTHS_SPAN.match(reader.text(node))
            if months and 0 < int(months[1]) <= keys.MONTHS[1]:
                return Wait(path=path, months=int(months[1]))
            span = timedelta(days=keys.DAYS[1] + 1) if months else reader.duration(node)
            if span.days > keys.DAYS[1]:
                hint = f"wait {keys.DAYS[1]}d or {keys.MONTHS[1]}mo at most"
                reader.error("flow.E024", node, f"{reader.text(node)} is too long", hint)
            return Wait(
                path=path, days=span.days, more=timedelta(seconds=span.seconds), is_in_m=reader.text(node).endswith("m")
            )
        before = len(reader.problems)
        values = reader.mapping(node, *WAIT)
        if len(reader.problems) == before and values.keys().isdisjoint(WAIT_LENGTHS):
            message = "a wait needs a length, a weekday or a time of day"
            reader.error("flow.E025", node, message, 'write for example `{days: 2, at: "10:00"}`')
        hours = reader.number(values["hours"], *keys.HOURS) if "hours" in values else 0
        minutes = reader.number(values["minutes"], *keys.MINUTES) if "minutes" in values else 0
        clock = reader.choice(values["clock"], get_args(Clock), "clock") if "clock" in values else "customer"
        return Wait(
            path=path,
            months=reader.number(values["months"], *keys.MONTHS) if "months" in values else 0,
            days=reader.number(values["days"], *keys.DAYS) if "days" in values else 0,
            more=timedelta(hours=hours, minutes=minutes),
            at=reader.clock(values["at"]) if "at" in values else None,
            clock=clock,  # type: ignore[arg-type]  # choice gives one of the literals
            not_on=_not_on(reader, values),
            until=_until(reader, values),
        )

    def schema(self) -> schemas.Schema:
        """Return a duration, or a mapping with at least one length."""
        mapping = schemas.mapping(
            WAIT,
            {
                "months": schemas.number(keys.MONTHS),
                "days": schemas.number(keys.DAYS),
                "hours": schemas.number(keys.HOURS),
                "minutes": schemas.number(keys.MINUTES),
                "at": schemas.pattern(CLOCK),
                "clock": schemas.one_of(*get_args(Clock)),
                "on": schemas.some_of(*WEEKDAYS),
                "not_on": schemas.some_of(*WEEKDAYS),
                "until": schemas.one_of(*get_args(TargetTime)),
                "before": schemas.SPAN,
                "lasts": schemas.SPAN,
            },
        )
        lengths: schemas.Schema = {"anyOf": [{"required": [name]} for name in WAIT_LENGTHS]}
        return {
            "anyOf": [schemas.SPAN, schemas.pattern(keys.MONTHS_SPAN), mapping | lengths],
            **schemas.description(Wait),
        }

    def text(self, step: Wait, flow: Flow) -> str:
        """Return the length, and the times at which the wait may end."""
        lengths = [counted(number, unit) for number, unit in ((step.months, "month"), (step.days, "day")) if number]
        if step.more:
            lengths.append(duration_text(step.more))
        length = " and ".join(lengths)
        parts = [f"wait {length}"] if length else []
        if step.until is not None:
            before = f"{duration_text(step.until.before)} before " if step.until.before else ""
            parts = [f"wait until {before}{step.until.time}", *([f"{length} if unknown"] if length else [])]
            if step.until.time == "product.runs_out":
                parts.append(f"each piece lasts {duration_text(step.until.lasts)}")
        if step.at is not None:
            parts.append(f"{'' if parts else 'wait '}until {step.at:%H:%M} in the {step.clock}'s time zone")
        if len(step.not_on) > len(WEEKDAYS) // 2:
            parts.append(
                f"only on {' or '.join(day for number, day in enumerate(WEEKDAYS) if number not in step.not_on)}"
            )
        elif step.not_on:
            parts.append(f"not on {' or '.join(WEEKDAYS[day] for day in sorted(step.not_on))}")
        return ", ".join(parts) or "wait"

    def check(self, step: Wait, compiled: CompiledFlow, rules: SendingRules) -> Iterator[Problem]:
        """Yield warnings: a wait that ends immediately or precedes nothing, and an email that expires during the quiet hours."""
        yield from check_minutes(step, compiled)
        next_path = compiled.next_step[step.path]
        if next_path is None:
            yield problem_at(step.path, "flow.W004", "no step follows this wait", "remove it, or add a step")
            return
        if _is_over(step, compiled.flow):
            message = "this wait ends immediately: the flow does not start earlier than the wait ends"
            yield problem_at(
                step.path, "flow.W005", message, "remove the wait, or start the flow earlier with `before`"
            )
        elif step.until is not None and step.until.time == "order.placed_at":
            message = "this wait ends immediately: the order was placed before the flow started"
            yield problem_at(step.path, "flow.W006", message, "wait for a duration, for example `{days: 2}`")
        send, quiet = compiled.steps[next_path], rules.quiet
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
                yield problem_at(next_path, "flow.W007", message, "wait until another time of day, or raise `expires`")

    def waits_at(self, step: Wait) -> WaitsAt:
        """Return the next step: an instance waits there until the wait is over."""
        return "next step"

    def longest(self, step: Wait) -> timedelta | None:
        """Return the length. One for a launch or the end of a product has no bound."""
        if step.until is not None and step.until.time in _FAR:
            return None
        length = step.months * _MONTH + timedelta(days=step.days) + step.more
        return length + (_DAY if step.at is not None else timedelta()) + (_WEEK if step.not_on else timedelta())


def _not_on(reader: StepReader, values: dict[str, yaml.Node]) -> frozenset[int]:
    """Return the weekdays on which a wait does not end: those in `not_on`, or those missing from `on`."""
    if "on" not in values:
        return reader.weekdays(values["not_on"]) if "not_on" in values else frozenset()
    if "not_on" in values:
        reader.error("flow.E026", values["not_on"], "`on` and `not_on` exclude each other", "remove one of them")
    days = reader.days(values["on"])
    if not days:
        reader.error(
            "flow.E027", values["on"], "`on` is empty, so the wait never ends", "write for example `on: [tue, thu]`"
        )
    return frozenset(range(len(WEEKDAYS))) - days if days else frozenset()


def _until(reader: StepReader, values: dict[str, yaml.Node]) -> WaitTarget | None:
    """Return the time that a wait is for."""
    if "until" not in values:
        for name in ("before", "lasts"):
            if name in values:
                reader.error("flow.E028", values[name], f"`{name}` needs `until`", "add `until: …`")
        return None
    time = reader.choice(values["until"], get_args(TargetTime), "time")
    on = reader.trigger.on
    if time == "product.launch":
        if not on.startswith("product.") or on in CATALOGUE_CHANGES or reader.trigger.once_per != "product":
            message = f"{time} needs a product that the customer viewed"
            hint = "write `trigger: {on: product.viewed, once_per: product}`"
            reader.mismatch("flow.E029", values["until"], message, hint)
    elif not is_about_order(on):
        reader.mismatch("flow.E004", values["until"], reader.lacks("order"), "wait for a duration")
    elif time.startswith("shipment.") and not on.startswith("shipment."):
        reader.mismatch("flow.E005", values["until"], reader.lacks("parcel"), "start with shipment.shipped")
    elif time == "product.runs_out" and reader.trigger.once_per != "product":
        message = f"{time} needs a flow that runs per product"
        reader.mismatch("flow.E030", values["until"], message, "write `once_per: product` in the trigger")
    return WaitTarget(
        time=time,  # type: ignore[arg-type]  # choice gives one of the literals
        before=reader.duration(values["before"]) if "before" in values else timedelta(),
        lasts=reader.duration(values["lasts"]) if "lasts" in values else timedelta(days=30),
    )


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
