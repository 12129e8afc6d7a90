"""The calls in conditions about the start of a text and about a date: `starts_with(event.link, "https://")`, `customer.days_until("wedding")`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from jinja2 import nodes

from streams.core.conditions import date_values
from streams.core.conditions.names import Closure, Kind
from streams.core.conditions.open_values import DATES
from streams.core.conditions.postal_codes import compact
from streams.core.conditions.purchase_values import CALLS
from streams.core.values.text import FIELD_NAME, nearest, similar
from streams.definitions.language.attributes import POSTAL, UNTYPED, OperandKind, as_text
from streams.definitions.language.expressions import InvalidCondition, column_of, name_of

STARTS_WITH = "starts_with"
#: The names that a condition may call.
CALLED = (*CALLS, date_values.DAYS_UNTIL, STARTS_WITH)
#: A comparison with each call.
EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        STARTS_WITH: 'starts_with(customer.postal_code, "80", "81")',
        date_values.DAYS_UNTIL: 'customer.days_until("wedding") <= 14',
    }
)
#: The beginnings that one call compares, at most.
_MOST = 100


def hint_for_call(name: str) -> str:
    """Return a hint for an unknown call: the one that was likely meant, or those about the customer; "" for others."""
    if name.startswith("customer."):
        return nearest(name, CALLED)
    meant = f"customer.{name}" if f"customer.{name}" in CALLED else similar(name, CALLED)
    return f"did you mean {meant!r}?" if meant is not None else ""


def compile_starts_with(node: nodes.Call, kind: OperandKind, read: Closure, source: str) -> Closure:
    """Return the function that tells whether a text begins with one of some others. Capital letters do not matter.

    Args:
        node: the call.
        kind: the kind of its first argument.
        read: the function that reads it.
        source: the condition.

    Raises:
        InvalidCondition: an argument is not a text.
    """
    starts = [each.value for each in node.args[1:] if isinstance(each, nodes.Const) and isinstance(each.value, str)]
    is_text = kind in ("text", UNTYPED, POSTAL)
    is_whole = len(starts) == len(node.args) - 1 and all(starts) and _is_plain(node)
    if not is_text or not is_whole or not 0 < len(starts) <= _MOST:
        message = "starts_with needs the name of a text, and texts in quotes"
        raise InvalidCondition(
            "condition.E019", message, f"write {EXAMPLES[STARTS_WITH]}", column_of(source, STARTS_WITH)
        )
    if kind == POSTAL:
        codes = tuple([compact(each).casefold() for each in starts])
        return lambda context: compact(read(context)).casefold().startswith(codes)
    beginnings = tuple([each.casefold() for each in starts])
    return lambda context: as_text(read(context)).casefold().startswith(beginnings)


def compile_days_until(node: nodes.Call, source: str) -> Closure:
    """Return the function that reads the days until a date of the customer.

    Raises:
        InvalidCondition: the argument is not the name of a date.
    """
    name = _date_name(node)
    if name is None:
        message = f"{date_values.DAYS_UNTIL} needs the name of a date in quotes"
        column = column_of(source, date_values.DAYS_UNTIL)
        raise InvalidCondition("condition.E019", message, f"write {EXAMPLES[date_values.DAYS_UNTIL]}", column)
    return date_values.days_until(name)


def check_days(left: nodes.Node, left_kind: Kind, right: nodes.Node, right_kind: Kind, source: str) -> None:
    """Reject a date beside a number: it is a text, and the days until it are another value.

    Args:
        left: the left side of the comparison.
        left_kind: its kind.
        right: the right side.
        right_kind: its kind.
        source: the condition.

    Raises:
        InvalidCondition: one side is an important date, and the other a number.
    """
    for day, kind in ((left, right_kind), (right, left_kind)):
        name = name_of(day) or ""
        if name.startswith(DATES) and kind == "number":
            hint = f'compare the days until it: {date_values.DAYS_UNTIL}("{name.removeprefix(DATES)}") <= 30'
            raise InvalidCondition("condition.E016", "a date is compared with a number", hint, column_of(source, name))


def countdowns_of(tree: nodes.Node) -> Iterator[str]:
    """Yield the dependency of each date whose days a valid condition counts."""
    for node in (tree, *tree.find_all(nodes.Call)):
        if isinstance(node, nodes.Call) and name_of(node.node) == date_values.DAYS_UNTIL:
            yield date_values.dependency_of(_date_name(node) or "")


def _date_name(node: nodes.Call) -> str | None:
    first = node.args[0] if len(node.args) == 1 and _is_plain(node) else None
    name = first.value if isinstance(first, nodes.Const) else None
    return name if isinstance(name, str) and FIELD_NAME.match(name) else None


def _is_plain(node: nodes.Call) -> bool:
    """Return whether a call has only arguments by position."""
    return not (node.kwargs or node.dyn_args or node.dyn_kwargs)
