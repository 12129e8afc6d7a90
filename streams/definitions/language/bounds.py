"""Comparisons with values that a name never has, such as the month 13, or a text in a list of numbers: they would never be true."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from jinja2 import nodes

from streams.core.conditions.date_values import DAYS_UNTIL
from streams.core.conditions.names import ROUND_NAMES, Kind
from streams.definitions.language.calls import check_reachable
from streams.definitions.language.expressions import InvalidCondition, column_of, name_of
from streams.definitions.language.weekdays import check_weekdays

#: The smallest and the largest number of a name.
_BOUNDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "order.month": (1, 12),
        "today.month": (1, 12),
        "order.hour": (0, 23),
        "today.hour": (0, 23),
        DAYS_UNTIL: (0, float("inf")),
    }
)
_TURNED: Mapping[str, str] = MappingProxyType({"gt": "lt", "gteq": "lteq", "lt": "gt", "lteq": "gteq"})


def check_possible(left: nodes.Node, kind: Kind, op: str, right: nodes.Node, source: str, rounds: int) -> None:
    """Reject a comparison with a weekday, a number, a kind of value or a number of orders that a name never has.

    Args:
        left: the left side of the comparison.
        kind: its kind.
        op: the comparison, as Jinja names it.
        right: the right side.
        source: the condition.
        rounds: the number of all rounds, within a `repeat`, else 0.

    Raises:
        InvalidCondition: the comparison is never true.
    """
    if op in ("in", "notin"):
        _check_members(kind, right, source)
    check_weekdays(left, right, source)
    check_reachable(left, op, right, source)
    _check_bounds(left, op, right, source, rounds)


def _check_members(kind: Kind, members: nodes.Node, source: str) -> None:
    """Reject a list with a value of another kind than that of the left side. The lists of names contain texts."""
    if not isinstance(members, (nodes.List, nodes.Tuple)):
        if kind != "text":
            name = name_of(members) or ""
            message = f"{name} contains texts, and never a {kind}"
            raise InvalidCondition(
                "condition.E016", message, "write a text to the left of `in`", column_of(source, name)
            )
        return
    for item in members.items:
        value = item.value if isinstance(item, nodes.Const) else ""
        if (kind == "text") != isinstance(value, str) or isinstance(value, bool):
            message = f"a {kind} never equals {value!r}"
            raise InvalidCondition(
                "condition.E016", message, f"write only {kind}s into the list", column_of(source, str(value))
            )


def _check_bounds(left: nodes.Node, op: str, right: nodes.Node, source: str, rounds: int) -> None:
    for side, other, how in ((left, right, op), (right, left, _TURNED.get(op, op))):
        name = name_of(side.node if isinstance(side, nodes.Call) else side) or ""
        bounds = (1, rounds) if name == ROUND_NAMES[0] and rounds else _BOUNDS.get(name)
        numbers = _numbers(other)
        if bounds is None or not numbers:
            continue
        least, most = bounds
        is_never = {
            "gt": numbers[0] >= most,
            "gteq": numbers[0] > most,
            "lt": numbers[0] <= least,
            "lteq": numbers[0] < least,
            "eq": not least <= numbers[0] <= most,
            "in": not all(least <= number <= most for number in numbers),
        }.get(how, False)
        if is_never:
            limits = f"from {least} to {most}" if most != float("inf") else f"at least {least}"
            message = f"{name} is never that: it is {limits}"
            raise InvalidCondition("condition.E023", message, "use such a number", column_of(source, name))


def check_range(node: nodes.Compare, source: str) -> None:
    """Reject a range whose first number is larger than its last.

    Raises:
        InvalidCondition: the range is empty, such as the hours of a night.
    """
    operands = [node.expr, *[operand.expr for operand in node.ops]]
    for number, (lower, upper) in enumerate(zip(node.ops, node.ops[1:], strict=False)):
        first, last = _numbers(operands[number]), _numbers(upper.expr)
        if not (isinstance(operands[number], nodes.List) or isinstance(upper.expr, nodes.List)) and first and last:
            is_rising = {lower.op, upper.op} <= {"lt", "lteq"} and first[0] > last[0]
            is_falling = {lower.op, upper.op} <= {"gt", "gteq"} and first[0] < last[0]
            if is_rising or is_falling:
                name = name_of(lower.expr) or ""
                hint = "write the smaller number first, or join two comparisons with `or`"
                message = f"this is never true: no number is in the range from {first[0]} to {last[0]}"
                raise InvalidCondition("condition.E023", message, hint, column_of(source, name))


def _numbers(node: nodes.Node) -> list[float]:
    """Return the number that a node is, or those of its list."""
    if isinstance(node, (nodes.List, nodes.Tuple)):
        return [number for item in node.items for number in _numbers(item)]
    if isinstance(node, nodes.Neg):
        return [-number for number in _numbers(node.node)]
    is_number = (
        isinstance(node, nodes.Const) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
    )
    return [node.value] if is_number and isinstance(node, nodes.Const) else []
