"""Attributes in conditions: `customer.attributes.<name>` is a text or a number, depending on the value that it is compared with.

Attributes are an open map, so their names and kinds are not known when a flow is loaded. The other side of the comparison decides: an
attribute beside a number is read as a number, and any other as a text. An unknown attribute is 0 or empty.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from jinja2 import nodes

from streams.core.conditions.context import EvalContext
from streams.core.conditions.names import Closure, Kind
from streams.core.values.text import FIELD_NAME

#: The name of all attributes, before the name of one.
ATTRIBUTES = "customer.attributes."
#: The kind of an operand: that of an attribute is decided by the operand beside it.
OperandKind: TypeAlias = Kind | Literal["text or number"]
UNTYPED: Literal["text or number"] = "text or number"
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:[.,][0-9]{1,9})?\Z")
_ORDERED = frozenset(("gt", "gteq", "lt", "lteq"))


def attribute_of(name: str) -> Closure | None:
    """Return the function that reads the attribute of a name in a condition, or None if the name is not that of an attribute."""
    attribute = name.removeprefix(ATTRIBUTES)
    if attribute == name or not FIELD_NAME.match(attribute):
        return None

    def read(context: EvalContext) -> str | int | None:
        return context.uow.profile.traits.attribute(attribute)

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


def as_number(value: Any) -> Decimal | int:
    """Return an attribute as a number: 0 if it is unknown or not a number."""
    if isinstance(value, int):
        return value
    return Decimal(value.replace(",", ".")) if value is not None and _NUMBER.match(value) else 0


def as_text(value: Any) -> str:
    """Return an attribute as a text: empty if it is unknown."""
    return "" if value is None else str(value)
