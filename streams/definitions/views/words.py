"""Flows in words for people: what starts them, what each step does, and which way leads where."""

from __future__ import annotations

from datetime import timedelta

from streams.core.model.flow import (
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
from streams.definitions.language.yaml_reader import WEEKDAYS

_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def span(length: timedelta) -> str:
    """A time span in the largest unit that fits without a rest: 2 weeks, 36 hours."""
    seconds = round(length.total_seconds())
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds and seconds % size == 0), _UNITS[-1])
    return counted(seconds // size, unit)


def beginning(flow: Flow) -> str:
    """What starts a flow."""
    trigger = flow.trigger
    words = [_event(trigger), f"once per {trigger.once_per}"]
    if trigger.again_after is not None:
        words[-1] += f", again {span(trigger.again_after)} after it last began"
    if trigger.where is not None:
        words.append(f"where {trigger.where.source}")
    if flow.holdout:
        words.append(f"{flow.holdout}% held out")
    return plain(", ".join(words))


def _event(trigger: Trigger) -> str:
    if trigger.segment:
        return f"{trigger.on} {trigger.segment}"
    if trigger.before:
        return f"{counted(trigger.before, 'day')} before {trigger.on}"
    if trigger.on.startswith("shipment.") and trigger.which != "each":
        return f"{trigger.on} of the {trigger.which} parcel"
    return trigger.on


def ending(flow: Flow) -> str:
    """What ends a flow before its last step; empty if nothing does."""
    goal = [f"its goal, {plain(flow.goal.source)}"] if flow.goal is not None else []
    return " or ".join([*flow.exit_on, *goal])


def in_words(step: Step, flow: Flow) -> str:
    """What a step does."""
    return plain(_words(step, flow))


def _words(step: Step, flow: Flow) -> str:
    if isinstance(step, Wait):
        return _wait(step, flow)
    if isinstance(step, WaitFor):
        where = f", where {step.where.source}" if step.where is not None else ""
        return f"wait for {step.event}{where}, {span(step.up_to)} at most"
    if isinstance(step, Split):
        return "split"
    if isinstance(step, Experiment):
        held_out = f", {step.holdout}% held out end here" if step.holdout else ""
        return f"experiment {step.name}{held_out}"
    if isinstance(step, Send):
        return _send(step, flow)
    if isinstance(step, SetField):
        return f"set {step.name} to {step.value!r}" if step.value else f"take {step.name} away"
    if isinstance(step, ChangeList):
        return f"{'add to' if step.is_member else 'take off'} the list {step.name}"
    if isinstance(step, Reward):
        pool = f", a code of the pool {step.pool}, waited for {span(step.within)} at most" if step.pool else ""
        return f"reward {step.name}, good for {span(step.expires)}{pool}"
    return f"emit {step.kind}"


def _send(step: Send, flow: Flow) -> str:
    words = [f"send {step.message}"]
    if step.purpose != flow.purpose:
        words.append(f"as {step.purpose}")
    words += [f"priority {step.priority}", f"expires after {span(step.expires)}"]
    if step.not_before is not None:
        words.append(f"not before {step.not_before}")
    if step.holdout:
        words.append(f"{step.holdout}% held out")
    if step.products:
        words.append(f"recommends {step.at_least} to {step.products} products")
    return ", ".join(words)


def _wait(step: Wait, flow: Flow) -> str:
    lengths = [counted(number, unit) for number, unit in ((step.months, "month"), (step.days, "day")) if number]
    if step.more:
        lengths.append(span(step.more))
    length = " and ".join(lengths)
    words = [f"wait {length}"] if length else []
    if step.until is not None:
        before = f"{span(step.until.before)} before " if step.until.before else ""
        words = [f"wait until {before}{step.until.time}", *([f"{length} if that is not known"] if length else [])]
        if step.until.time == "product.runs_out":
            words.append(f"a piece lasts {span(step.until.lasts)}")
    if step.at is not None:
        whose = "the shop" if step.clock == "shop" else "the customer"
        words.append(f"{'' if words else 'wait '}until {step.at:%H:%M} where {whose} is")
    if len(step.not_on) > len(WEEKDAYS) // 2:
        words.append(f"only on {' or '.join(day for number, day in enumerate(WEEKDAYS) if number not in step.not_on)}")
    elif step.not_on:
        words.append(f"not on {' or '.join(WEEKDAYS[day] for day in sorted(step.not_on))}")
    return ", ".join(words) or "wait"


def way_words(step: Step) -> tuple[str, ...]:
    """When each way out of a step is gone; the last one behind them for a split without otherwise."""
    if isinstance(step, Split):
        words = ["otherwise" if arm.when is None else f"if {plain(arm.when.source)}" for arm in step.branches]
        return tuple(words if step.branches and step.branches[-1].when is None else [*words, "otherwise"])
    if isinstance(step, Experiment):
        return tuple([f"{arm.name} {arm.percent}%" for arm in step.variants])
    if isinstance(step, WaitFor):
        return "it comes", "it does not come in time"
    return ()
