"""The use that flows make of a customer's purchases, and the bounds of the log (see `model/orders/purchase_log.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streams.core.rules.flow import Condition, Flow, Send, Split, WaitFor, all_steps


class LogBounds(NamedTuple):
    """The bounds of a log of purchases: its purchases, its categories, and the purchases of each category."""

    purchases: int
    categories: int
    of_category: int


def reads_purchases(flows: Iterable[Flow], segments: Iterable[Condition]) -> bool:
    """Return whether a flow, a segment or an email asks for a period or for the favourite categories."""
    conditions = [*segments, *(condition for flow in flows for condition in _conditions(flow))]
    if any(condition.reads_purchases for condition in conditions):
        return True
    return any(step.recommends.reads_purchases for step in _sends(flows))


def reads_views(flows: Iterable[Flow]) -> bool:
    """Return whether an email recommends products that the customer viewed."""
    return any("browsed" in step.recommends.sources for step in _sends(flows))


def _sends(flows: Iterable[Flow]) -> Iterator[Send]:
    yield from [step for flow in flows for step in all_steps(flow.steps) if isinstance(step, Send)]


def _conditions(flow: Flow) -> Iterator[Condition]:
    found = [flow.trigger.where, flow.trigger.threshold, flow.goal]
    for step in all_steps(flow.steps):
        if isinstance(step, WaitFor):
            found.append(step.where)
        elif isinstance(step, Split):
            found += [branch.when for branch in step.branches]
    yield from [condition for condition in found if condition is not None]
