"""Attributes and fields in conditions: they are texts or numbers, depending on the value that they are compared with.

Both are open maps, so their names and kinds are not known when a flow is loaded. The other side of the comparison decides: a
value beside a number is read as a number, and any other as a text. An unknown one is 0 or empty.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from jinja2 import nodes

from streams.core.conditions.context import EvalContext
from streams.core.conditions.names import Closure, Kind
from streams.core.conditions.time_changes import FIELDS
from streams.core.model.fields import as_number, field_of
from streams.core.values.text import FIELD_NAME

#: The name of all attributes, before the name of one.
ATTRIBUTES = "customer.attributes."
#: The kind of an operand: that of an attribute or a field is decided by the operand beside it.
OperandKind: TypeAlias = Kind | Literal["text or number"]
UNTYPED: Literal["text or number"] = "text or number"
_ORDERED = frozenset(("gt", "gteq", "lt", "lteq"))


def open_value_of(name: str) -> Closure | None:
    """Return the function that reads the attribute or the field of a name in a condition, or None if the name is neither."""
    if name.startswith(FIELDS):
        return _field_of(name.removeprefix(FIELDS))
    attribute = name.removeprefix(ATTRIBUTES)
    if attribute == name or not FIELD_NAME.match(attribute):
        return None

    def read(context: EvalContext) -> str | int | None:
        return context.uow.profile.traits.attribute(attribute)

    return read


def _field_of(field: str) -> Closure | None:
    if not FIELD_NAME.match(field):
        return None

    def read(context: EvalContext) -> str | None:
        return field_of(context.uow, field)

    return read


def typed(kind: OperandKind, read: Closure, op: str, other: OperandKind, node: nodes.Node) -> tuple[Kind, Closure]:
    """Return the kind of an operand and the function that reads it.

    Args:
        kind: the kind of the operand.
        read: the function that reads it.
        op: the comparison.
        other: the kind of the operand beside it.
        node: the operand beside it. The first value of a list decides.
    """
    if kind != UNTYPED:
        return kind, read
    if other == "list" and isinstance(node, (nodes.List, nodes.Tuple)) and node.items:
        first = node.items[0]
        is_number = isinstance(first, nodes.Const) and not isinstance(first.value, str)
    else:
        is_number = other == "number" or (other == UNTYPED and op in _ORDERED)
    if is_number:
        return "number", lambda context: as_number(read(context))
    return "text", lambda context: as_text(read(context))


def as_text(value: Any) -> str:
    """Return a value as a text: empty if it is unknown."""
    return "" if value is None else str(value)
