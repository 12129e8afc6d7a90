"""Flows in plain English: what starts them, what each step does, and where each branch leads."""

from __future__ import annotations

from streams.core.rules.flow import Flow, Step, Trigger
from streams.core.values.text import counted, plain
from streams.definitions.language.durations import duration_text
from streams.definitions.language.steps.kinds import kind_of


def trigger_text(flow: Flow) -> str:
    """Return what starts a flow."""
    trigger = flow.trigger
    parts = [_event_text(trigger), f"once per {trigger.once_per}"]
    if trigger.backfill:
        spread = f" over {duration_text(trigger.spread)}" if trigger.spread else ""
        parts.append(f"also for present members{spread}")
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
    if trigger.at is not None:
        spread = f", spread over {duration_text(trigger.spread)}" if trigger.spread else ""
        return f"{trigger.on} {trigger.at:%Y-%m-%d %H:%M} ({trigger.clock}), segment {trigger.segment}{spread}"
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
    return plain(kind_of(step).text(step, flow))


def branch_labels(step: Step) -> tuple[str, ...]:
    """Return when each branch of a step is taken. A split without `otherwise` has one more label, for the customers who take no branch."""
    return tuple([plain(label) for label in kind_of(step).labels(step)])
