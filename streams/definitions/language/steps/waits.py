"""Readers of waits."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args

import yaml

from streams.core.rules.flow import Clock, TargetTime, Wait, WaitTarget
from streams.core.rules.trigger_names import is_about_order
from streams.definitions.language import keys
from streams.definitions.language.steps.reader import StepReader
from streams.definitions.language.yaml_reader import WEEKDAYS


def read_wait(reader: StepReader, node: yaml.Node, path: str) -> Wait:
    """Return a wait: a duration, or a mapping."""
    if isinstance(node, yaml.ScalarNode):
        months = keys.MONTHS_SPAN.match(reader.text(node))
        if months and 0 < int(months[1]) <= keys.MONTHS[1]:
            return Wait(path=path, months=int(months[1]))
        span = timedelta(days=keys.DAYS[1] + 1) if months else reader.duration(node)
        if span.days > keys.DAYS[1]:
            hint = f"wait {keys.DAYS[1]}d or {keys.MONTHS[1]}mo at most"
            reader.error("flow.E024", node, f"{reader.text(node)} is too long", hint)
        return Wait(path=path, days=span.days, more=timedelta(seconds=span.seconds))
    before = len(reader.problems)
    values = reader.mapping(node, *keys.WAIT)
    if len(reader.problems) == before and values.keys().isdisjoint(keys.WAIT_LENGTHS):
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
        if not on.startswith("product.") or reader.trigger.once_per != "product":
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
