"""Conditions of flows: a small part of Jinja's expressions, turned into closures when the flow is loaded.

Jinja's parser gives the syntax tree; everything outside a white list is refused. Each name has a kind (number, text, yes or no,
list), so that a typo and a comparison that can never hold are found at load and not when somebody waits for a mail.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from streams.core import money
from streams.core.customer import OrderState, Parcel
from streams.core.flow import Condition
from streams.core.turn import Turn

Kind: TypeAlias = Literal["number", "text", "truth", "list"]
Closure: TypeAlias = Callable[[Any], Any]


class View:
    """What a condition may look at: the customer as it is now, the order, and the parcel if there is one."""

    __slots__ = ("order", "parcel", "turn")

    def __init__(self, turn: Turn, order: OrderState, parcel: Parcel | None) -> None:
        self.turn = turn
        self.order = order
        self.parcel = parcel


class BadCondition(ValueError):
    """A condition that cannot be understood; `column` counts from 0 within it, `remedy` says what would be right."""

    def __init__(self, problem: str, remedy: str, column: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.column = column


def _spend(view: View) -> Decimal:
    return money.major(view.turn.spend_converted_minor, view.turn.world.shop.currency)


def _total(view: View) -> Decimal:
    facts = view.order.facts
    return money.major(facts.total_minor, facts.currency) if facts else Decimal(0)


def _value(view: View) -> Decimal:
    return money.major(view.order.converted_minor, view.turn.world.shop.currency)


def _is_vip(view: View) -> bool:
    return view.turn.spend_converted_minor >= view.turn.world.vip_spend_minor


def _country(view: View) -> str:
    return (
        view.turn.profile.country
        or (view.order.facts.country if view.order.facts else "")
        or view.turn.world.shop.country
    )


def _ship_country(view: View) -> str:
    return view.order.facts.ship_country if view.order.facts else ""


def _lines(view: View) -> tuple[Any, ...]:
    return view.order.facts.lines if view.order.facts else ()


# Every name that a condition may use, the kind of its value and how it is read. Money is in major units: of the order's own
# currency for order.total, of the shop's for order.value and customer.spend.
NAMES: Mapping[str, tuple[Kind, Closure]] = MappingProxyType(
    {
        "customer.orders": ("number", lambda view: view.turn.purchases),
        "customer.spend": ("number", _spend),
        "customer.is_vip": ("truth", _is_vip),
        "customer.country": ("text", _country),
        "customer.locale": ("text", lambda view: view.turn.profile.locale or view.turn.world.shop.locale),
        "customer.is_unsubscribed": ("truth", lambda view: bool(view.turn.consent.unsubscribed)),
        "customer.has_consent": ("truth", lambda view: view.turn.consent.marketing is True),
        "order.total": ("number", _total),
        "order.value": ("number", _value),
        "order.currency": ("text", lambda view: view.order.facts.currency if view.order.facts else ""),
        "order.country": ("text", lambda view: view.order.facts.country if view.order.facts else ""),
        "order.ship_country": ("text", _ship_country),
        "order.is_international": ("truth", lambda view: _ship_country(view) != view.turn.world.shop.country),
        "order.lines": ("number", lambda view: len(_lines(view))),
        "order.quantity": ("number", lambda view: sum(line.quantity for line in _lines(view))),
        "order.categories": ("list", lambda view: tuple(line.category for line in _lines(view))),
        "order.skus": ("list", lambda view: tuple(line.sku for line in _lines(view))),
        "order.parcels": ("number", lambda view: view.order.parcels_in_order),
        "order.is_refunded": ("truth", lambda view: view.order.refunded_at is not None),
        "order.is_cancelled": ("truth", lambda view: view.order.cancelled_at is not None),
        "shipment.carrier": ("text", lambda view: view.parcel.carrier if view.parcel else ""),
        "shipment.status": ("text", lambda view: view.parcel.status if view.parcel else ""),
        "shipment.has_tracking": ("truth", lambda view: bool(view.parcel and view.parcel.tracking_url)),
        "shipment.has_window": ("truth", lambda view: bool(view.parcel and view.parcel.window_to)),
    }
)
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
_PARSES = Environment(autoescape=True)  # only its lexer is used: nothing is rendered
_ALLOWED = "allowed are names, numbers, texts, lists, == != < <= > >=, in, and, or, not"


def compile_condition(source: str) -> Condition:
    """The condition that `source` says, ready to be asked.

    Raises:
        BadCondition: the source is no expression, uses what is not allowed, an unknown name, or compares what cannot be compared.
    """
    try:
        parser = Parser(_PARSES, source, state="variable")
        tree = parser.parse_expression()
        rest = parser.stream.current
    except TemplateSyntaxError as error:
        raise BadCondition(f"this is no expression: {error.message}", _ALLOWED) from error
    except RecursionError as error:
        raise BadCondition("the condition is nested too deep", "use fewer parentheses") from error
    if not parser.stream.eos:
        raise BadCondition(
            f"{rest.value!r} is one thing too many",
            "join conditions with and / or",
            max(0, source.find(str(rest.value))),
        )
    kind, closure = _build(tree, source)
    if kind != "truth":
        raise BadCondition(
            f"a {kind} is not a condition", "compare it with something, for example customer.orders == 1"
        )
    return Condition(source, closure)


def _build(node: nodes.Node, source: str) -> tuple[Kind, Closure]:
    if isinstance(node, (nodes.Name, nodes.Getattr)):
        return _name(node, source)
    if isinstance(node, nodes.Const):
        return _constant(node.value)
    if isinstance(node, nodes.Neg):
        kind, closure = _build(node.node, source)
        if kind != "number" or not isinstance(node.node, nodes.Const):
            raise BadCondition("- stands only before a number", _ALLOWED)
        value = -closure(None)
        return "number", lambda view: value
    if isinstance(node, (nodes.And, nodes.Or)):
        return _joined(node, source)
    if isinstance(node, nodes.Not):
        inside = _truth(node.node, source)
        return "truth", lambda view: not inside(view)
    if isinstance(node, (nodes.List, nodes.Tuple)):
        return _list(node)
    if isinstance(node, nodes.Compare):
        return _comparison(node, source)
    raise BadCondition(f"{type(node).__name__.lower()} is not allowed in a condition", _ALLOWED)


def _name(node: nodes.Name | nodes.Getattr, source: str) -> tuple[Kind, Closure]:
    parts: list[str] = []
    inner: nodes.Node = node
    while isinstance(inner, nodes.Getattr):
        parts.append(inner.attr)
        inner = inner.node
    if not isinstance(inner, nodes.Name):
        raise BadCondition("a name is two words with a dot, like customer.orders", _ALLOWED)
    parts.append(inner.name)
    name = ".".join(reversed(parts))
    if name in NAMES:
        return NAMES[name]
    near = get_close_matches(name, NAMES, n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]}?" if near else f"known names: {', '.join(NAMES)}"
    raise BadCondition(f"unknown name {name}", remedy, max(0, source.find(name)))


def _constant(value: object) -> tuple[Kind, Closure]:
    if isinstance(value, bool):
        return "truth", lambda view: value
    if isinstance(value, int):
        return "number", lambda view: value
    if isinstance(value, float):
        exact = Decimal(repr(value))
        return "number", lambda view: exact
    if isinstance(value, str):
        return "text", lambda view: value
    raise BadCondition("none is not a value here", _ALLOWED)


def _truth(node: nodes.Node, source: str) -> Closure:
    kind, closure = _build(node, source)
    if kind != "truth":
        raise BadCondition(
            f"and, or, not join conditions, not a {kind}", "compare it with something, for example order.total > 100"
        )
    return closure


def _joined(node: nodes.And | nodes.Or, source: str) -> tuple[Kind, Closure]:
    left, right = _truth(node.left, source), _truth(node.right, source)
    if isinstance(node, nodes.And):
        return "truth", lambda view: left(view) and right(view)
    return "truth", lambda view: left(view) or right(view)


def _list(node: nodes.List | nodes.Tuple) -> tuple[Kind, Closure]:
    values = []
    for item in node.items:
        if not isinstance(item, nodes.Const):
            raise BadCondition("a list holds only numbers and texts", "for example ['DK', 'SE']")
        values.append(_constant(item.value)[1](None))
    fixed = tuple(values)
    return "list", lambda view: fixed


def _comparison(node: nodes.Compare, source: str) -> tuple[Kind, Closure]:
    tests: list[tuple[Closure, str, Closure]] = []
    left_kind, left = _build(node.expr, source)
    for operand in node.ops:
        kind, right = _build(operand.expr, source)
        _check_kinds(left_kind, operand.op, kind)
        tests.append((left, operand.op, right))
        left_kind, left = kind, right
    closures = [_test(*test) for test in tests]
    if len(closures) == 1:
        return "truth", closures[0]
    return "truth", lambda view: all(closure(view) for closure in closures)


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
        return lambda view: left(view) in right(view)
    if op == "notin":
        return lambda view: left(view) not in right(view)
    compare = _COMPARISONS[op]
    return lambda view: compare(left(view), right(view))
