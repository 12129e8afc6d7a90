"""Weekdays in conditions: a misspelt one is found when the flow is loaded."""

from __future__ import annotations

from jinja2 import nodes

from streams.core.values.local_time import WEEKDAYS
from streams.definitions.language.expressions import InvalidCondition, column_of, name_of

_NAMES = frozenset(("order.weekday", "today.weekday"))


def check_weekdays(left: nodes.Node, right: nodes.Node, source: str) -> None:
    """Reject a comparison with a weekday that does not exist: it would never be true.

    Args:
        left: the left side of the comparison.
        right: the right side.
        source: the condition.

    Raises:
        InvalidCondition: a text beside `order.weekday` or `today.weekday` is not a weekday.
    """
    for name, other in ((left, right), (right, left)):
        if name_of(name) not in _NAMES:
            continue
        for item in other.items if isinstance(other, (nodes.List, nodes.Tuple)) else [other]:
            if isinstance(item, nodes.Const) and isinstance(item.value, str) and item.value not in WEEKDAYS:
                hint = f"use {', '.join(WEEKDAYS)}"
                column = column_of(source, item.value)
                raise InvalidCondition("condition.E022", f"unknown weekday {item.value!r}", hint, column)
