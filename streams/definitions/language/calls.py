"""Calls in conditions: the purchases of a period or of a category, as in `customer.orders_in(90d, "tea")`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from jinja2 import nodes

from streams.core.conditions.names import Closure
from streams.core.conditions.purchase_values import CALLS, dependency_of, reader
from streams.core.rules.ruleset import Limits
from streams.definitions.language.expressions import InvalidCondition, column_of, name_of, period_text

_PERIOD = re.compile(r"([0-9]{1,4})([hdwy])\Z")
_UNITS = {
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(days=7),
    "y": timedelta(days=365),
}
_ORDERS_IN = "customer.orders_in"
#: The comparisons that need at least the number to the right, and to the left, of the operator.
_MORE, _LESS = frozenset(("gt", "gteq", "eq")), frozenset(("lt", "lteq", "eq"))
#: The longest period.
LONGEST = timedelta(days=2 * 365)


def compile_call(node: nodes.Call, source: str) -> Closure:
    """Return the function that reads a call of a known name, which is a number.

    Raises:
        InvalidCondition: the arguments are invalid.
    """
    name = str(name_of(node.node))
    return reader(name, *_arguments(node, name, source))


def dependencies_of(tree: nodes.Node) -> Iterator[str]:
    """Yield the periods of the calls in a valid condition, which may change it when they end."""
    for node in (tree, *tree.find_all(nodes.Call)):
        name = name_of(node.node) if isinstance(node, nodes.Call) else None
        if isinstance(node, nodes.Call) and name is not None and name in CALLS and CALLS[name].has_period:
            yield dependency_of(name, *_arguments(node, name, ""))


def check_reachable(left: nodes.Node, op: str, right: nodes.Node, source: str) -> None:
    """Reject a comparison with more orders of a period than Takk remembers: it would never be true.

    Args:
        left: the left side of the comparison.
        op: the comparison, as Jinja names it.
        right: the right side.
        source: the condition.

    Raises:
        InvalidCondition: the comparison is never true.
    """
    for call, number, never in ((left, right, _MORE), (right, left, _LESS)):
        name = name_of(call.node) if isinstance(call, nodes.Call) else None
        if not isinstance(call, nodes.Call) or name != _ORDERS_IN or not isinstance(number, nodes.Const):
            continue
        bounds = Limits().purchases
        most = bounds.of_category if _arguments(call, name, source)[1] else bounds.purchases
        value = number.value if isinstance(number.value, int | float) else 0
        if op in never and (value >= most if op in ("gt", "lt") else value > most):
            message = f"this is never true: Takk remembers the newest {most} orders"
            hint = "compare it with a smaller number, or use customer.orders"
            raise InvalidCondition("condition.E021", message, hint, column_of(source, name))


def _arguments(node: nodes.Call, name: str, source: str) -> tuple[timedelta, str]:
    """Return the period and the category of a call; no time and "" for one that it does not have."""
    call, column = CALLS[name], column_of(source, name)
    arguments = [*node.args]
    period = timedelta()
    if call.has_period and arguments:
        period = _period(arguments.pop(0), column)
    elif call.has_period:
        raise InvalidCondition("condition.E019", f"{name} needs a period", f"write {call.example}", column)
    category = arguments.pop(0) if arguments else None
    is_text = isinstance(category, nodes.Const) and isinstance(category.value, str) and bool(category.value)
    is_wrong = category is not None and not is_text
    if (
        is_wrong
        or (call.needs_category and category is None)
        or arguments
        or node.kwargs
        or node.dyn_args
        or node.dyn_kwargs
    ):
        what = "a category" if call.needs_category else "a period, and perhaps a category"
        raise InvalidCondition("condition.E019", f"{name} needs {what} in quotes", f"write {call.example}", column)
    return period, str(category.value) if isinstance(category, nodes.Const) else ""


def _period(node: nodes.Expr, column: int) -> timedelta:
    text = period_text(node)
    match = _PERIOD.match(text or "")
    length = int(match[1]) * _UNITS[match[2]] if match is not None else timedelta()
    if not timedelta() < length <= LONGEST:
        shown = f"invalid period {text!r}" if text is not None else "invalid period"
        raise InvalidCondition("condition.E020", shown, "use a number and h, d, w or y, up to 2y: 90d", column)
    return length
