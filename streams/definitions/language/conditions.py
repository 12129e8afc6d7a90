"""Conditions of flows: a small part of Jinja's expressions, compiled to closures when the flow is loaded.

Jinja's parser gives the syntax tree; everything outside an allow-list is rejected. Each name has a kind (number, text, boolean or list; see
`core/conditions/names.py`), so typos and comparisons that can never be true are found at load time.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser
from msgspec import Struct

from streams.core.conditions.names import NAMES, Closure, Kind
from streams.core.rules.flow import Condition
from streams.core.values.text import nearest, similar
from streams.definitions.language.attributes import UNTYPED, OperandKind, open_value_of, typed
from streams.definitions.language.time_dependencies import time_dependencies_of
from streams.definitions.problems import Location, Problem


class InvalidCondition(ValueError):
    """A condition that cannot be compiled. The location of `problem` is a column of the condition's source."""

    def __init__(self, id: str, message: str, hint: str, column: int = 0) -> None:
        super().__init__(message)
        self.problem = Problem(id, message, hint, Location(column=column + 1))


#: Why a name cannot be used at some place, and what to do instead.
Absence: TypeAlias = tuple[str, str]


class Scope(Struct, frozen=True):
    """The names that a condition can use at its place.

    `absent` has names, or their first words, that are not available there. `segments` are the names of all segments; None in the condition
    of a segment, which cannot refer to segments.
    """

    absent: Mapping[str, Absence] = MappingProxyType({})
    segments: Collection[str] | None = ()


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
#: The largest number of a condition: more than all money of a shop in the smallest unit of any currency.
MAX_NUMBER = 10**15
_NUMBER = re.compile(r"[0-9][0-9a-zA-Z_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ORDERED = frozenset(("gt", "gteq", "lt", "lteq"))
_ENVIRONMENT = Environment(autoescape=True)  # only its lexer is used: nothing is rendered
_WORD = re.compile(r"""'[^']*'|"[^"]*"|[\w.]+""")
_FIRST_WORDS = ", ".join(dict.fromkeys([name.partition(".")[0] + "." for name in (*NAMES, "field.")]))
#: Users' words for nodes with other names in Jinja.
_LABELS: Mapping[str, str] = MappingProxyType(
    {"add": "`+`", "sub": "`-`", "mul": "`*`", "div": "`/`", "floordiv": "`//`", "mod": "`%`", "pow": "`**`", "concat": "`~`",
     "pos": "`+`", "condexpr": "`if`", "getitem": "`[ ]`", "call": "a call", "filter": "a filter", "test": "`is`", "dict": "`{ }`"}
)  # fmt: skip
_ALLOWED = "use names, numbers, texts, lists, == != < <= > >=, in, and, or, not"
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
        tree = _parse(source)
        kind, closure = _build(tree, _Site(source, scope))
    except RecursionError as error:
        hint = "move parts of it to segments.yaml"
        raise InvalidCondition("condition.E002", "the condition is nested too deeply", hint) from error
    if kind != "boolean":
        raise InvalidCondition("condition.E003", f"this is a {kind}, not a condition", _COMPARE)
    return Condition(source, closure, time_dependencies_of(tree))


def _parse(source: str) -> nodes.Node:
    """Return the syntax tree of one whole expression."""
    try:
        parser = Parser(_ENVIRONMENT, source, state="variable")
        tree = parser.parse_expression()
        rest = parser.stream.current
        unread = len(list(parser.stream))  # the lexer reads the rest of the source only now
    except TemplateSyntaxError as error:
        text, _, at = str(error.message).replace("'end of template'", "end of the condition").partition(" at ")
        text = re.sub("^unexpected char ", "unexpected character ", text)
        column = int(at) if at.isdecimal() else 0
        raise InvalidCondition("condition.E004", f"invalid expression: {text}", _ALLOWED, column) from error
    except (ValueError, OverflowError) as error:  # more digits than Python reads
        raise _number_out_of_range(source) from error
    if not unread:
        return tree
    hint = "use == to compare" if rest.value == "=" else "join conditions with `and` or `or`"
    columns: list[int] = []
    column = 0
    for _, sort, text in _ENVIRONMENT.lexer.tokeniter(source, None, state="variable"):
        if sort != "whitespace":
            columns.append(column)
        column += len(text)
    raise InvalidCondition("condition.E005", f"unexpected '{rest.value}'", hint, columns[-unread])


def _column_of(source: str, word: str) -> int:
    """Return the column of a name or a text in the source, where it is not a part of another one."""
    for match in _WORD.finditer(source):
        if match[0].strip("'\"") == word:
            return match.start()
    return 0


def _build(node: nodes.Node, site: _Site) -> tuple[OperandKind, Closure]:
    if isinstance(node, (nodes.Name, nodes.Getattr)):
        return _build_name(node, site)
    if isinstance(node, nodes.Const):
        return _build_constant(node.value, site)
    if isinstance(node, nodes.Neg):
        kind, closure = _build(node.node, site)
        if kind != "number" or not isinstance(node.node, nodes.Const):
            raise InvalidCondition("condition.E007", "`-` is only allowed before a number", _ALLOWED)
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
    raise InvalidCondition("condition.E006", f"{label} is not allowed in a condition", _ALLOWED)


def _build_name(node: nodes.Name | nodes.Getattr, site: _Site) -> tuple[OperandKind, Closure]:
    parts: list[str] = []
    inner: nodes.Node = node
    while isinstance(inner, nodes.Getattr):
        parts.append(inner.attr)
        inner = inner.node
    if not isinstance(inner, nodes.Name):
        raise InvalidCondition("condition.E008", "invalid name", "names have the form customer.orders")
    parts.append(inner.name)
    name = ".".join(reversed(parts))
    first = name.partition(".")[0]
    column = _column_of(site.source, name)
    absent = site.scope.absent.get(first) or site.scope.absent.get(name)
    if absent is not None:
        reason, hint = absent
        raise InvalidCondition("condition.E010", f"{name} is not available here: {reason}", hint, column)
    if name == "customer.segments" and site.scope.segments is None:
        hint = "repeat the condition of the other segment"
        raise InvalidCondition("condition.E011", "a segment cannot refer to other segments", hint, column)
    if (value := open_value_of(name)) is not None:
        return UNTYPED, value
    if name in NAMES:
        return NAMES[name]
    same_first_word = [other for other in NAMES if other.startswith(f"{first}.")]
    if similar(name, NAMES) is None and not same_first_word:
        hint = f"names start with {_FIRST_WORDS}; see templates/LANGUAGE.md"
    else:
        hint = nearest(name, NAMES if similar(name, NAMES) else same_first_word)
    raise InvalidCondition("condition.E009", f"unknown name {name!r}", hint, column)


def _number_out_of_range(source: str) -> InvalidCondition:
    """Return the error for the longest number in a condition: no amount, count or age is that large."""
    numbers = sorted(_NUMBER.finditer(source), key=lambda match: len(match[0]))
    column = numbers[-1].start() if numbers else 0
    return InvalidCondition("condition.E018", "number out of range", f"use a number below {MAX_NUMBER:,}", column)


def _build_constant(value: object, site: _Site) -> tuple[Kind, Closure]:
    if isinstance(value, bool):
        return "boolean", lambda context: value
    if isinstance(value, int | float) and not abs(value) < MAX_NUMBER:
        raise _number_out_of_range(site.source)
    if isinstance(value, int):
        return "number", lambda context: value
    if isinstance(value, float):
        exact = Decimal(repr(value))
        return "number", lambda context: exact
    if isinstance(value, str):
        return "text", lambda context: value
    raise InvalidCondition("condition.E006", "`none` is not allowed in a condition", _ALLOWED)


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
        _check_kinds(typed_left, operand.op, typed_right)
        _check_segment(node.expr, operand, site)
        tests.append((left, operand.op, typed_read))
        left_kind, left, left_node = kind, right, operand.expr
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
        raise InvalidCondition("condition.E014", f"unknown segment {name!r}", hint, _column_of(site.source, name))


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
        raise InvalidCondition("condition.E017", message, "use == or !=")


def _test(left: Closure, op: str, right: Closure) -> Closure:
    if op == "in":
        return lambda context: left(context) in right(context)
    if op == "notin":
        return lambda context: left(context) not in right(context)
    compare = _COMPARISONS[op]
    return lambda context: compare(left(context), right(context))
