"""Conditions of flows: a small part of Jinja's expressions, turned into closures when the flow is loaded.

Jinja's parser gives the syntax tree; everything outside a white list is refused. Each name has a kind (number, text, yes or no,
list; see condition_names.py), so that a typo and a comparison that can never hold are found at load and not when somebody waits for a mail.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser
from msgspec import Struct

from streams.core.conditions.names import NAMES, Closure, Kind
from streams.core.conditions.time_changes import TIME_DEPENDENT
from streams.core.model.flow import Condition, TimeDependencies


class BadCondition(ValueError):
    """A condition that cannot be understood; `column` counts from 0 within it, `remedy` says what would be right."""

    def __init__(self, problem: str, remedy: str, column: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.column = column


class Scope(Struct, frozen=True):
    """Where a condition stands: what it may not ask for there (`absent`: names or their first words, and why), and the segments that there are.

    `segments` None: the condition is a segment's own, and may not ask for segments.
    """

    absent: Mapping[str, str] = MappingProxyType({})
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
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_ORDERED = frozenset(("gt", "gteq", "lt", "lteq"))
_Node = TypeVar("_Node", bound=nodes.Node)
_PARSES = Environment(autoescape=True)  # only its lexer is used: nothing is rendered
_WORD = re.compile(r"""'[^']*'|"[^"]*"|[\w.]+""")
_FIRST_WORDS = ", ".join(dict.fromkeys([name.partition(".")[0] + "." for name in (*NAMES, "field.")]))
_SPOKEN: Mapping[str, str] = MappingProxyType(
    {"condexpr": "if", "getitem": "[ ]"}
)  # nodes whose names in Jinja nobody knows
_ALLOWED = "allowed are names, numbers, texts, lists, == != < <= > >=, in, and, or, not"


class _Site(NamedTuple):
    source: str
    scope: Scope


def compile_condition(source: str, scope: Scope = ANYWHERE) -> Condition:
    """The condition that `source` says, ready to be asked.

    Raises:
        BadCondition: the source is no expression, uses what is not allowed, an unknown name, one that `scope` has not, or compares
            what cannot be compared.
    """
    if not source.strip():
        raise BadCondition("the condition is empty", "for example customer.orders == 1")
    try:
        tree = _parsed(source)
        kind, closure = _build(tree, _Site(source, scope))
    except RecursionError as error:
        raise BadCondition("the condition is nested too deep", "make segments of its parts") from error
    if kind != "truth":
        raise BadCondition(
            f"a {kind} is not a condition", "compare it with something, for example customer.orders == 1"
        )
    return Condition(source, closure, time_dependencies_of(tree))


def _parsed(source: str) -> nodes.Node:
    """The syntax tree of one whole expression."""
    try:
        parser = Parser(_PARSES, source, state="variable")
        tree = parser.parse_expression()
    except TemplateSyntaxError as error:
        words, _, at = str(error.message).replace("end of template", "end").partition(" at ")
        raise BadCondition(f"this is no expression: {words}", _ALLOWED, int(at) if at.isdecimal() else 0) from error
    if parser.stream.eos:
        return tree
    rest = parser.stream.current
    remedy = "== asks whether two are the same" if rest.value == "=" else "join conditions with and / or"
    places: list[int] = []
    column = 0
    for _, sort, text in _PARSES.lexer.tokeniter(source, None, state="variable"):
        if sort != "whitespace":
            places.append(column)
        column += len(text)
    raise BadCondition(f"'{rest.value}' is one thing too many", remedy, places[-len(list(parser.stream))])


def _place(source: str, word: str) -> int:
    """Where a name or a text stands in the source, not as a part of another."""
    for found in _WORD.finditer(source):
        if found[0].strip("'\"") == word:
            return found.start()
    return 0


def _build(node: nodes.Node, site: _Site) -> tuple[Kind, Closure]:
    if isinstance(node, (nodes.Name, nodes.Getattr)):
        return _name(node, site)
    if isinstance(node, nodes.Const):
        return _constant(node.value)
    if isinstance(node, nodes.Neg):
        kind, closure = _build(node.node, site)
        if kind != "number" or not isinstance(node.node, nodes.Const):
            raise BadCondition("- stands only before a number", _ALLOWED)
        value = -closure(None)
        return "number", lambda context: value
    if isinstance(node, (nodes.And, nodes.Or)):
        return _joined(node, site)
    if isinstance(node, nodes.Not):
        inside = _truth(node.node, site)
        return "truth", lambda context: not inside(context)
    if isinstance(node, (nodes.List, nodes.Tuple)):
        return _list(node)
    if isinstance(node, nodes.Compare):
        return _comparison(node, site)
    called = type(node).__name__.lower()
    raise BadCondition(f"{_SPOKEN.get(called, called)} is not allowed in a condition", _ALLOWED)


def _name(node: nodes.Name | nodes.Getattr, site: _Site) -> tuple[Kind, Closure]:
    parts: list[str] = []
    inner: nodes.Node = node
    while isinstance(inner, nodes.Getattr):
        parts.append(inner.attr)
        inner = inner.node
    if not isinstance(inner, nodes.Name):
        raise BadCondition("a name is two words with a dot, like customer.orders", _ALLOWED)
    parts.append(inner.name)
    name = ".".join(reversed(parts))
    first, _, rest = name.partition(".")
    absent = site.scope.absent.get(first) or site.scope.absent.get(name)
    if absent is not None:
        raise BadCondition(f"{name}: {absent}", "ask for something else", _place(site.source, name))
    if name == "customer.segments" and site.scope.segments is None:
        raise BadCondition("a segment cannot ask for segments", "write its condition out", _place(site.source, name))
    if first == "field" and _FIELD.match(rest):
        return "text", lambda context: dict(context.uow.fields).get(rest, "")
    if name in NAMES:
        return NAMES[name]
    near = get_close_matches(name, NAMES, n=1, cutoff=0.7)
    known = [other for other in NAMES if other.startswith(f"{first}.")]
    remedy = (
        f"known: {', '.join(known)}"
        if known
        else f"a name begins with {_FIRST_WORDS}; templates/LANGUAGE.md has them all"
    )
    raise BadCondition(
        f"unknown name {name}", f"did you mean {near[0]}?" if near else remedy, _place(site.source, name)
    )


def _constant(value: object) -> tuple[Kind, Closure]:
    if isinstance(value, bool):
        return "truth", lambda context: value
    if isinstance(value, int):
        return "number", lambda context: value
    if isinstance(value, float):
        exact = Decimal(repr(value))
        return "number", lambda context: exact
    if isinstance(value, str):
        return "text", lambda context: value
    raise BadCondition("none is not a value here", _ALLOWED)


def _truth(node: nodes.Node, site: _Site) -> Closure:
    kind, closure = _build(node, site)
    if kind != "truth":
        raise BadCondition(
            f"and, or, not join conditions, not a {kind}", "compare it with something, for example order.total > 100"
        )
    return closure


def _joined(node: nodes.And | nodes.Or, site: _Site) -> tuple[Kind, Closure]:
    left, right = _truth(node.left, site), _truth(node.right, site)
    if isinstance(node, nodes.And):
        return "truth", lambda context: left(context) and right(context)
    return "truth", lambda context: left(context) or right(context)


def _list(node: nodes.List | nodes.Tuple) -> tuple[Kind, Closure]:
    values = []
    for item in node.items:
        if not isinstance(item, nodes.Const):
            raise BadCondition("a list holds only numbers and texts", "for example ['DK', 'SE']")
        values.append(_constant(item.value)[1](None))
    fixed = tuple(values)
    return "list", lambda context: fixed


def _comparison(node: nodes.Compare, site: _Site) -> tuple[Kind, Closure]:
    tests: list[tuple[Closure, str, Closure]] = []
    left_kind, left = _build(node.expr, site)
    for operand in node.ops:
        kind, right = _build(operand.expr, site)
        _check_kinds(left_kind, operand.op, kind)
        _check_segment(node.expr, operand, site)
        tests.append((left, operand.op, right))
        left_kind, left = kind, right
    closures = [_test(*test) for test in tests]
    if len(closures) == 1:
        return "truth", closures[0]
    return "truth", lambda context: all(closure(context) for closure in closures)


def _check_segment(left: nodes.Node, operand: nodes.Operand, site: _Site) -> None:
    """A segment that there is not would be one that nobody is ever in."""
    right, known = operand.expr, site.scope.segments
    is_asked = isinstance(right, nodes.Getattr) and right.attr == "segments"
    if is_asked and isinstance(left, nodes.Const) and known is not None and left.value not in known:
        near = get_close_matches(str(left.value), known, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
        raise BadCondition(f"there is no segment {left.value!r}", remedy, _place(site.source, str(left.value)))


def _check_kinds(left: Kind, op: str, right: Kind) -> None:
    if op in ("in", "notin"):
        if right != "list" or left not in ("text", "number"):
            raise BadCondition(f"a {left} cannot be in a {right}", "in asks whether a text or number is in a list")
    elif left != right:
        raise BadCondition(f"a {left} is compared with a {right}", f"compare a {left} with a {left}")
    elif op in _ORDERED and left != "number":
        raise BadCondition(f"a {left} is neither more nor less", "use == or !=")


def _test(left: Closure, op: str, right: Closure) -> Closure:
    if op == "in":
        return lambda context: left(context) in right(context)
    if op == "notin":
        return lambda context: left(context) not in right(context)
    compare = _COMPARISONS[op]
    return lambda context: compare(left(context), right(context))


def time_dependencies_of(tree: nodes.Node) -> TimeDependencies:
    """Return the names in a condition whose value changes with time, each with the numbers at which the condition may change.

    `days > 30` changes when the value reaches 31, `days >= 30` at 30 and `days == 30` at both. So each number that is compared
    counts, and so does the next integer.
    """
    numbers_of: dict[str, set[int]] = {}
    for comparison in _all(tree, nodes.Compare):
        values = [constant.value for constant in _all(comparison, nodes.Const)]
        numbers = [math.floor(value) for value in values if isinstance(value, (int, float))]
        for name in _names(comparison):
            numbers_of.setdefault(name, set()).update([number + step for number in numbers for step in (0, 1)])
    for name in _names(tree):  # a name with a truth value needs no comparison
        numbers_of.setdefault(name, set())
    return tuple(
        sorted([(name, tuple(sorted(numbers))) for name, numbers in numbers_of.items() if name in TIME_DEPENDENT])
    )


def _all(tree: nodes.Node, kind: type[_Node]) -> Iterator[_Node]:
    if isinstance(tree, kind):
        yield tree
    yield from tree.find_all(kind)


def _names(tree: nodes.Node) -> Iterator[str]:
    for node in _all(tree, nodes.Getattr):
        if isinstance(node.node, nodes.Name):
            yield f"{node.node.name}.{node.attr}"
