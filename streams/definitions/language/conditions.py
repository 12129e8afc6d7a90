"""Conditions of flows: a small part of Jinja's expressions, compiled to closures when the flow is loaded.

Jinja's parser gives the syntax tree; everything outside an allow-list is rejected. Each name has a kind (number, text, boolean or list; see
`core/conditions/names.py`), so typos and comparisons that can never be true are found at load time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from jinja2 import nodes
from msgspec import Struct

from streams.core.conditions.date_values import DAYS_UNTIL
from streams.core.conditions.names import NAMES, ROUND_NAMES, TOP_CATEGORY, Closure, Kind
from streams.core.conditions.open_values import DATES, open_value_of
from streams.core.conditions.postal_codes import POSTAL_CODE
from streams.core.conditions.purchase_values import CALLS
from streams.core.rules.flow import Condition
from streams.core.values.text import nearest
from streams.definitions.language.attributes import POSTAL, UNTYPED, OperandKind, as_text, typed
from streams.definitions.language.bounds import check_possible, check_range
from streams.definitions.language.calls import compile_call
from streams.definitions.language.expressions import (
    ALLOWED,
    MAX_NUMBER,
    column_of,
    name_of,
    number_out_of_range,
    parse_expression,
    period_text,
)
from streams.definitions.language.expressions import (
    InvalidCondition as InvalidCondition,
)
from streams.definitions.language.text_calls import (
    CALLED,
    EXAMPLES,
    STARTS_WITH,
    check_days,
    compile_days_until,
    compile_starts_with,
    hint_for_call,
)
from streams.definitions.language.time_dependencies import time_dependencies_of

#: Why a name cannot be used at some place, and what to do instead.
Absence: TypeAlias = tuple[str, str]


class Scope(Struct, frozen=True):
    """The names that a condition can use at its place.

    `absent` has names, or their first words, that are not available there. `segments` are the names of all segments; None in the condition
    of a segment, which cannot refer to segments. `rounds` are the number of the round and of all rounds, within a `repeat`.
    """

    absent: Mapping[str, Absence] = MappingProxyType({})
    segments: Collection[str] | None = ()
    rounds: tuple[int, int] = (0, 0)


ANYWHERE = Scope()

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "eq": operator.eq,
        "ne": operator.ne,
        "gt": operator.gt,
        "gteq": operator.ge,
        "lt": operator.lt,
        "lteq": operator.le,
    }
)
_ORDERED = frozenset(("gt", "gteq", "lt", "lteq"))
_NAMED = (nodes.Getattr, nodes.Call)
#: The names that need the log of purchases.
OF_PURCHASES = frozenset((*CALLS, TOP_CATEGORY))
#: The names as hints list them.
_LISTED = (
    *NAMES,
    *CALLED,
    "customer.attributes.<name>",
    "customer.dates.<name>",
    "field.<name>",
)
#: Users' words for nodes with other names in Jinja.
_LABELS: Mapping[str, str] = MappingProxyType(
    {"add": "`+`", "sub": "`-`", "mul": "`*`", "div": "`/`", "floordiv": "`//`", "mod": "`%`", "pow": "`**`", "concat": "`~`",
     "pos": "`+`", "condexpr": "`if`", "getitem": "`[ ]`", "call": "a call", "filter": "a filter", "test": "`is`", "dict": "`{ }`"}
)  # fmt: skip
_COMPARE = "compare it, for example customer.orders == 1"


class _Site(NamedTuple):
    source: str
    scope: Scope


def compile_condition(source: str, scope: Scope = ANYWHERE) -> Condition:
    """Return the compiled condition.

    Args:
        source: the text of the condition.
        scope: what it can use at its place.

    Raises:
        InvalidCondition: the source is not a valid expression, uses an unknown name or one that `scope` lacks, or compares values of
            different kinds.
    """
    if not source.strip():
        raise InvalidCondition("condition.E001", "empty condition", "write for example customer.orders == 1")
    try:
        tree = parse_expression(source)
        kind, closure = _build(tree, _Site(source, scope))
    except RecursionError as error:
        hint = "move parts of it to segments.yaml"
        raise InvalidCondition("condition.E002", "the condition is nested too deeply", hint) from error
    if kind != "boolean":
        raise InvalidCondition("condition.E003", f"this is a {kind}, not a condition", _COMPARE)
    names = {name_of(node.node if isinstance(node, nodes.Call) else node) for node in (tree, *tree.find_all(_NAMED))}
    return Condition(source, closure, time_dependencies_of(tree), not OF_PURCHASES.isdisjoint(names))


def _build(node: nodes.Node, site: _Site) -> tuple[OperandKind, Closure]:
    if isinstance(node, (nodes.Name, nodes.Getattr)):
        return _build_name(node, site)
    if isinstance(node, nodes.Call) and name_of(node.node) is not None:
        return _build_call(node, site)
    if isinstance(node, nodes.Const):
        return _build_constant(node.value, site)
    if isinstance(node, nodes.Neg):
        kind, closure = _build(node.node, site)
        if kind != "number" or not isinstance(node.node, nodes.Const):
            raise InvalidCondition("condition.E007", "`-` is only allowed before a number", ALLOWED)
        value = -closure(None)
        return "number", lambda context: value
    if isinstance(node, (nodes.And, nodes.Or)):
        return _build_junction(node, site)
    if isinstance(node, nodes.Not):
        inside = _build_boolean(node.node, site)
        return "boolean", lambda context: not inside(context)
    if isinstance(node, (nodes.List, nodes.Tuple)):
        return _build_list(node, site)
    if isinstance(node, nodes.Compare):
        return _build_comparison(node, site)
    kind_of_node = type(node).__name__.lower()
    label = _LABELS.get(kind_of_node, kind_of_node)
    raise InvalidCondition("condition.E006", f"{label} is not allowed in a condition", ALLOWED)


def _build_name(node: nodes.Name | nodes.Getattr, site: _Site) -> tuple[OperandKind, Closure]:
    written = name_of(node)
    if written is None:
        raise InvalidCondition("condition.E008", "invalid name", "names have the form customer.orders")
    period = period_text(node)
    if period is not None and written not in site.source:
        hint = "write for example customer.orders_in(90d) >= 3"
        raise InvalidCondition("condition.E020", f"the period {period} is not in a call", hint)
    name = written
    first = name.partition(".")[0]
    column = column_of(site.source, name)
    absent = site.scope.absent.get(first) or site.scope.absent.get(name)
    if absent is not None:
        reason, hint = absent
        raise InvalidCondition("condition.E010", f"{name} is not available here: {reason}", hint, column)
    if name == "customer.segments" and site.scope.segments is None:
        hint = "repeat the condition of the other segment"
        raise InvalidCondition("condition.E011", "a segment cannot refer to other segments", hint, column)
    if (value := open_value_of(name)) is not None:
        return ("text", lambda context: as_text(value(context))) if name.startswith(DATES) else (UNTYPED, value)
    if name in ROUND_NAMES:
        number = site.scope.rounds[ROUND_NAMES.index(name)]
        return "number", lambda context: number
    if name == POSTAL_CODE:
        return POSTAL, NAMES[name][1]
    if name in NAMES:
        return NAMES[name]
    if name in (DAYS_UNTIL, STARTS_WITH):
        raise InvalidCondition("condition.E019", f"{name} needs parentheses", f"write {EXAMPLES[name]}", column)
    if name in CALLS:
        what = "a period" if CALLS[name].has_period else "a category in quotes"
        raise InvalidCondition("condition.E019", f"{name} needs {what}", f"write {CALLS[name].example}", column)
    raise InvalidCondition("condition.E009", f"unknown name {name!r}", nearest(name, _LISTED), column)


def _build_call(node: nodes.Call, site: _Site) -> tuple[Kind, Closure]:
    name = str(name_of(node.node))
    if name in CALLS:
        return "number", compile_call(node, site.source)
    if name == DAYS_UNTIL:
        return "number", compile_days_until(node, site.source)
    if name == STARTS_WITH:
        first: tuple[OperandKind, Closure] = _build(node.args[0], site) if node.args else ("boolean", bool)
        return "boolean", compile_starts_with(node, *first, site.source)
    column = column_of(site.source, name)
    if name in NAMES:
        raise InvalidCondition("condition.E006", f"{name} takes no parentheses", f"write {name}", column)
    if not (hint := hint_for_call(name)):
        raise InvalidCondition("condition.E006", "a call is not allowed in a condition", ALLOWED, column)
    raise InvalidCondition("condition.E009", f"unknown name {name!r} before a parenthesis", hint, column)


def _build_constant(value: object, site: _Site) -> tuple[Kind, Closure]:
    if isinstance(value, bool):
        return "boolean", lambda context: value
    if isinstance(value, int | float) and not abs(value) < MAX_NUMBER:
        raise number_out_of_range(site.source)
    if isinstance(value, int):
        return "number", lambda context: value
    if isinstance(value, float):
        exact = Decimal(repr(value))
        return "number", lambda context: exact
    if isinstance(value, str):
        return "text", lambda context: value
    raise InvalidCondition("condition.E006", "`none` is not allowed in a condition", ALLOWED)


def _build_boolean(node: nodes.Node, site: _Site) -> Closure:
    kind, closure = _build(node, site)
    if kind != "boolean":
        raise InvalidCondition(
            "condition.E012", f"`and`, `or` and `not` need a condition, but this is a {kind}", _COMPARE
        )
    return closure


def _build_junction(node: nodes.And | nodes.Or, site: _Site) -> tuple[Kind, Closure]:
    left, right = _build_boolean(node.left, site), _build_boolean(node.right, site)
    if isinstance(node, nodes.And):
        return "boolean", lambda context: left(context) and right(context)
    return "boolean", lambda context: left(context) or right(context)


def _build_list(node: nodes.List | nodes.Tuple, site: _Site) -> tuple[Kind, Closure]:
    values = []
    for item in node.items:
        if not isinstance(item, nodes.Const):
            hint = "write for example ['DK', 'SE']"
            raise InvalidCondition("condition.E013", "a list can contain only numbers and texts", hint)
        values.append(_build_constant(item.value, site)[1](None))
    fixed = tuple(values)
    return "list", lambda context: fixed


def _build_comparison(node: nodes.Compare, site: _Site) -> tuple[Kind, Closure]:
    tests: list[tuple[Closure, str, Closure]] = []
    left_kind, left = _build(node.expr, site)
    left_node = node.expr
    for operand in node.ops:
        kind, right = _build(operand.expr, site)
        typed_left, left = typed(left_kind, left, operand.op, kind, operand.expr)
        typed_right, typed_read = typed(kind, right, operand.op, left_kind, left_node)
        check_days(left_node, typed_left, operand.expr, typed_right, site.source)
        _check_kinds(typed_left, operand.op, typed_right)
        _check_segment(node.expr, operand, site)
        check_possible(left_node, typed_left, operand.op, operand.expr, site.source, site.scope.rounds[1])
        tests.append((left, operand.op, typed_read))
        left_kind, left, left_node = kind, right, operand.expr
    check_range(node, site.source)
    closures = [_test(*test) for test in tests]
    if len(closures) == 1:
        return "boolean", closures[0]
    return "boolean", lambda context: all(closure(context) for closure in closures)


def _check_segment(left: nodes.Node, operand: nodes.Operand, site: _Site) -> None:
    """Reject an unknown segment: no customer would ever be a member."""
    right, segments = operand.expr, site.scope.segments
    is_membership = isinstance(right, nodes.Getattr) and right.attr == "segments"
    if is_membership and isinstance(left, nodes.Const) and segments is not None and left.value not in segments:
        name = str(left.value)
        hint = nearest(name, sorted(segments))
        raise InvalidCondition("condition.E014", f"unknown segment {name!r}", hint, column_of(site.source, name))


def _check_kinds(left: Kind, op: str, right: Kind) -> None:
    if op in ("in", "notin"):
        if right != "list" or left not in ("text", "number"):
            hint = "write a text or a number to the left of `in`, and a list to its right"
            raise InvalidCondition("condition.E015", f"a {left} cannot be in a {right}", hint)
    elif left != right:
        hint = f"compare the {left} with another {left}"
        raise InvalidCondition("condition.E016", f"a {left} cannot be compared with a {right}", hint)
    elif op in _ORDERED and left != "number":
        message = f"a {left} cannot be compared with <, <=, > or >="
        raise InvalidCondition("condition.E017", message, "use == or !=, or write numbers without quotes")


def _test(left: Closure, op: str, right: Closure) -> Closure:
    if op == "in":
        return lambda context: left(context) in right(context)
    if op == "notin":
        return lambda context: left(context) not in right(context)
    compare = _COMPARISONS[op]
    return lambda context: compare(left(context), right(context))
