"""Values in conditions that are texts or numbers, depending on the value that they are compared with.

The names and kinds of attributes, dates and fields are not known when a flow is loaded. The other side of the comparison decides: a
value beside a number is read as a number, and any other as a text. An unknown one is 0 or empty. So it is with postal codes.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from jinja2 import nodes

from streams.core.conditions.names import Closure, Kind
from streams.core.conditions.postal_codes import number_of
from streams.core.model.fields import as_number

#: The kind of an operand: that of an attribute, a field or a postal code is decided by the operand beside it.
OperandKind: TypeAlias = Kind | Literal["text or number", "postal code"]
UNTYPED: Literal["text or number"] = "text or number"
POSTAL: Literal["postal code"] = "postal code"
_ORDERED = frozenset(("gt", "gteq", "lt", "lteq"))


def typed(kind: OperandKind, read: Closure, op: str, other: OperandKind, node: nodes.Node) -> tuple[Kind, Closure]:
    """Return the kind of an operand and the function that reads it.

    Args:
        kind: the kind of the operand.
        read: the function that reads it.
        op: the comparison.
        other: the kind of the operand beside it.
        node: the operand beside it. The first value of a list decides.
    """
    if kind not in (UNTYPED, POSTAL):
        return kind, read
    if other == "list" and isinstance(node, (nodes.List, nodes.Tuple)) and node.items:
        first = node.items[0]
        is_number = isinstance(first, nodes.Const) and not isinstance(first.value, str)
    else:
        is_number = other == "number" or (other in (UNTYPED, POSTAL) and op in _ORDERED)
    if is_number and kind == POSTAL:
        return "number", lambda context: number_of(read(context))
    if is_number:
        return "number", lambda context: as_number(read(context))
    return "text", lambda context: as_text(read(context))


def as_text(value: Any) -> str:
    """Return a value as a text: empty if it is unknown."""
    return "" if value is None else str(value)
