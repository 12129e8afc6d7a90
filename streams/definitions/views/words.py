"""Flows in plain English: what starts them, what each step does, and where each branch leads."""

from __future__ import annotations

from datetime import timedelta

from streams.core.rules.flow import (
    ChangeList,
    Experiment,
    Flow,
    Reward,
    Send,
    SetField,
    Split,
    Step,
    Trigger,
    Wait,
    WaitFor,
)
from streams.core.values.text import counted, plain
from streams.definitions.language import recommendations
from streams.definitions.language.yaml_reader import WEEKDAYS

_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def duration_text(length: timedelta) -> str:
    """Return a duration in the largest unit that divides it: 2 weeks, 36 hours."""
    seconds = round(length.total_seconds())
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds and seconds % size == 0), _UNITS[-1])
    return counted(seconds // size, unit)


def trigger_text(flow: Flow) -> str:
    """Return what starts a flow."""
    trigger = flow.trigger
    parts = [_event_text(trigger), f"once per {trigger.once_per}"]
    if trigger.again_after is not None:
        parts.append(f"again after {duration_text(trigger.again_after)}")
    if trigger.where is not None:
        parts.append(f"where {trigger.where.source}")
    if flow.max_age is not None:
        parts.append(f"events up to {duration_text(flow.max_age)} old")
    if flow.holdout:
        parts.append(f"{flow.holdout}% held out")
    return plain(", ".join(parts))


def _event_text(trigger: Trigger) -> str:
    if trigger.threshold is not None:
        return f"{trigger.on} {trigger.threshold.source}"
    if trigger.segment:
        return f"{trigger.on} {trigger.segment}"
    if trigger.before:
        named = f" {trigger.date}" if trigger.date else ""
        return f"{counted(trigger.before, 'day')} before {trigger.on}{named}"
    if trigger.date:
        return f"{trigger.on} {trigger.date}"
    if trigger.on.startswith("shipment.") and trigger.which != "each":
        return f"{trigger.on} of the {trigger.which} parcel"
    return trigger.on


def exit_text(flow: Flow) -> str:
    """Return what ends a flow before its last step; an empty text if nothing does."""
    goal = [f"goal {plain(flow.goal.source)}"] if flow.goal is not None else []
    return " or ".join([*flow.exit_on, *goal])


def step_text(step: Step, flow: Flow) -> str:
    """Return what a step does."""
    return plain(_step_text(step, flow))


def _step_text(step: Step, flow: Flow) -> str:
    if isinstance(step, Wait):
        return _wait_text(step)
    if isinstance(step, WaitFor):
        where = f", where {step.where.source}" if step.where is not None else ""
        return f"wait for {step.event}{where}, {duration_text(step.up_to)} at most"
    if isinstance(step, Split):
        return "split"
    if isinstance(step, Experiment):
        holdout = f", {step.holdout}% held out" if step.holdout else ""
        return f"experiment {step.name}{holdout}"
    if isinstance(step, Send):
        return _send_text(step, flow)
    if isinstance(step, SetField):
        return f"set {step.name} to {step.value!r}" if step.value else f"remove field {step.name}"
    if isinstance(step, ChangeList):
        return f"{'add to' if step.is_member else 'remove from'} list {step.name}"
    if isinstance(step, Reward):
        pool = f", code from pool {step.pool}, wait {duration_text(step.within)} at most" if step.pool else ""
        return f"reward {step.name}, valid for {duration_text(step.expires)}{pool}"
    return f"emit {step.kind}"


def _send_text(step: Send, flow: Flow) -> str:
    parts = [f"send {step.message}"]
    if step.purpose != flow.purpose:
        parts.append(f"as {step.purpose}")
    parts += [f"priority {step.priority}", f"expires after {duration_text(step.expires)}"]
    if step.not_before is not None:
        parts.append(f"not before {step.not_before}")
    if step.holdout:
        parts.append(f"{step.holdout}% held out")
    if step.products:
        parts.append(f"recommends {step.at_least} to {step.products} products")
    parts += recommendations.words(step.recommends)
    return ", ".join(parts)


def _wait_text(step: Wait) -> str:
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
        parts.append(f"only on {' or '.join(day for number, day in enumerate(WEEKDAYS) if number not in step.not_on)}")
    elif step.not_on:
        parts.append(f"not on {' or '.join(WEEKDAYS[day] for day in sorted(step.not_on))}")
    return ", ".join(parts) or "wait"


def branch_labels(step: Step) -> tuple[str, ...]:
    """Return when each branch of a step is taken. A split without `otherwise` has one more label, for the customers who take no branch."""
    if isinstance(step, Split):
        labels = ["otherwise" if branch.when is None else f"if {plain(branch.when.source)}" for branch in step.branches]
        return tuple(labels if step.branches and step.branches[-1].when is None else [*labels, "otherwise"])
    if isinstance(step, Experiment):
        return tuple([f"{variant.name} {variant.percent}%" for variant in step.variants])
    if isinstance(step, WaitFor):
        return "in time", "not in time"
    return ()
