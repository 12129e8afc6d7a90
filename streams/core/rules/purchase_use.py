"""The use that flows make of a customer's purchases, and the bounds of the log (see `model/orders/purchase_log.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec import Struct

from streams.core.rules.flow import Condition, Flow, Send, all_steps

#: The name of the category of the most orders.
TOP_CATEGORY = "customer.top_category"


class LogBounds(NamedTuple):
    """The bounds of a log of purchases: its purchases, its categories, and the purchases of each category."""

    purchases: int
    categories: int
    of_category: int


def reads_purchases(flows: Iterable[Flow], segments: Iterable[Condition]) -> bool:
    """Return whether a flow, a segment or an email asks for a period or for the favourite categories."""
    if any(condition.reads_purchases for condition in segments):
        return True
    for flow in flows:
        for value in _values(flow):
            if value == TOP_CATEGORY or (isinstance(value, Condition) and value.reads_purchases):
                return True
    return any(step.recommends.reads_purchases for step in _sends(flows))


def reads_views(flows: Iterable[Flow]) -> bool:
    """Return whether an email recommends products that the customer viewed."""
    return any("browsed" in step.recommends.sources for step in _sends(flows))


def _sends(flows: Iterable[Flow]) -> Iterator[Send]:
    yield from [step for flow in flows for step in all_steps(flow.steps) if isinstance(step, Send)]


def _values(value: Any) -> Iterator[Any]:
    """Yield the values in a flow, whatever its kinds of steps are."""
    yield value
    if isinstance(value, Struct) and not isinstance(value, Condition):
        for name in value.__struct_fields__:
            yield from _values(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _values(item)
