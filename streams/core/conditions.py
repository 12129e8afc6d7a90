"""Conditions of flows: a small part of Jinja's expressions, turned into closures when the flow is loaded.

Jinja's parser gives the syntax tree; everything outside a white list is refused. Each name has a kind (number, text, yes or no,
list), so that a typo and a comparison that can never hold are found at load and not when somebody waits for a mail.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser
from msgspec import Struct

from streams.core import money
from streams.core.customer import OrderFacts, OrderState, Parcel
from streams.core.events import OrderLine
from streams.core.flow import Condition
from streams.core.turn import Turn

Kind: TypeAlias = Literal["number", "text", "truth", "list"]
Closure: TypeAlias = Callable[[Any], Any]


class View:
    """What a condition may look at: the customer as it is now, the order and the parcel if there are any, and what the trigger told."""

    __slots__ = ("_segments", "about", "order", "parcel", "reward", "turn")

    def __init__(
        self,
        turn: Turn,
        order: OrderState | None,
        parcel: Parcel | None = None,
        about: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.turn = turn
        self.order = order
        self.parcel = parcel
        self.about = about
        #: The code that the run's newest reward gave; empty if it gave none.
        self.reward = ""
        self._segments: tuple[str, ...] | None = None

    @property
    def facts(self) -> OrderFacts | None:
        """The order as the shop last described it."""
        return self.order.facts if self.order is not None else None

    def told(self, name: str) -> str:
        """What the trigger told as `name`."""
        for known, value in self.about:
            if known == name:
                return value
        return ""

    def segments(self) -> tuple[str, ...]:
        """The segments that the customer is a member of."""
        if self._segments is None:
            self._segments = tuple(
                [name for name, condition in self.turn.world.segments.items() if condition.holds(self)]
            )
        return self._segments


class BadCondition(ValueError):
    """A condition that cannot be understood; `column` counts from 0 within it, `remedy` says what would be right."""

    def __init__(self, problem: str, remedy: str, column: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.column = column


class Scope(Struct, frozen=True):
    """Where a condition stands: what it may not ask for there (`absent`: first words of names, and why), and the segments that there are.

    `segments` None: the condition is a segment's own, and may not ask for segments.
    """

    absent: Mapping[str, str] = MappingProxyType({})
    segments: Collection[str] | None = ()


ANYWHERE = Scope()


def _shop_country(view: View) -> str:
    return view.turn.world.shop.country


def _spend(view: View) -> Decimal:
    return money.major(view.turn.spend_converted_minor, view.turn.world.shop.currency)


def _average(view: View) -> Decimal:
    return _spend(view) / view.turn.purchases if view.turn.purchases > 0 else Decimal(0)


def _total(view: View) -> Decimal:
    facts = view.facts
    return money.major(facts.total_minor, facts.currency) if facts else Decimal(0)


def _discount(view: View) -> Decimal:
    facts = view.facts
    return money.major(facts.discount_minor, facts.currency) if facts else Decimal(0)


def _value(view: View) -> Decimal:
    return money.major(view.order.converted_minor, view.turn.world.shop.currency) if view.order else Decimal(0)


def _country(view: View) -> str:
    return view.turn.profile.country or (view.facts.country if view.facts else "") or _shop_country(view)


def _locale(view: View) -> str:
    return view.turn.profile.locale or view.turn.world.shop.locale


def _ship_country(view: View) -> str:
    return view.facts.ship_country if view.facts else ""


def _lines(view: View) -> tuple[OrderLine, ...]:
    return view.facts.lines if view.facts else ()


def _days_since(view: View, moment: datetime | None) -> int:
    return max(0, (view.turn.now - moment).days) if moment is not None else NEVER_DAYS


def _age(view: View) -> int:
    born, now = view.turn.profile.birthday, view.turn.now
    if born is None or born.year <= NO_YEAR:
        return 0
    return now.year - born.year - ((now.month, now.day) < (born.month, born.day))


def _is_birthday_month(view: View) -> bool:
    born = view.turn.profile.birthday
    return born is not None and born.month == view.turn.now.astimezone(view.turn.zone_of(view.order)).month


def _opened_at(view: View) -> datetime | None:
    return max((sent.opened_at for sent in view.turn.sends if sent.opened_at is not None), default=None)


def _clicked_at(view: View) -> datetime | None:
    return max((sent.clicked_at for sent in view.turn.sends if sent.clicked_at is not None), default=None)


def _bought(view: View) -> Iterator[OrderLine]:
    for order in view.turn.orders:
        if order.placed and order.cancelled_at is None and order.facts is not None:
            yield from order.facts.lines


def _categories(view: View) -> tuple[str, ...]:
    return tuple([line.category for line in _bought(view)])


def _skus(view: View) -> tuple[str, ...]:
    return tuple([line.sku for line in _bought(view)])


def _score(value: Decimal | int, least: tuple[Decimal | int, ...]) -> int:
    """1 to 5: one more for each of the four bounds that `value` reaches."""
    return 1 + sum(value >= bound for bound in least)


def _recency(view: View) -> int:
    return _score(-_days_since(view, view.turn.last_order_at), RECENCY)


def _frequency(view: View) -> int:
    return _score(view.turn.purchases, FREQUENCY)


def _monetary(view: View) -> int:
    whole = view.turn.world.vip_spend_minor
    return _score(view.turn.spend_converted_minor * 100, tuple([whole * percent for percent in MONETARY]))


def _is_late(view: View) -> bool:
    return view.order is not None and view.order.is_late(view.turn.now)


def _product(view: View) -> OrderLine | None:
    sku = view.told("sku")
    return next((line for line in _lines(view) if line.sku == sku), None)


def _is_coming(view: View) -> bool:
    launch = view.told("launches_at")
    return bool(launch) and datetime.fromisoformat(launch) > view.turn.now


def _is_bought(view: View) -> bool:
    """Whether the product was bought since it was looked at; of an order's product: in another order since."""
    sku, seen_at = view.told("sku"), view.told("seen_at")
    since = datetime.fromisoformat(seen_at) if seen_at else view.facts.placed_at if view.facts else None
    return any(
        (seen_at or order is not view.order) and order.placed and order.cancelled_at is None and line.sku == sku
        for order in view.turn.orders
        if order.facts is not None and (since is None or order.facts.placed_at >= since)
        for line in order.facts.lines
    )


#: Days since what never happened.
NEVER_DAYS = 100_000
#: Birthdays of whom the year is not known carry this one.
NO_YEAR = 1604
#: Bounds of the scores 2 to 5: days since the last order (negative: fewer is better), orders, percent of what makes a VIP.
RECENCY = (-365, -180, -90, -30)
FREQUENCY = (2, 3, 5, 10)
MONETARY = (5, 15, 40, 100)

# Every name that a condition may use, the kind of its value and how it is read. Money is in major units: of the order's own
# currency for order.total and order.discount, of the shop's for order.value and customer.spend. What was bought is of the orders that are remembered.
NAMES: Mapping[str, tuple[Kind, Closure]] = MappingProxyType(
    {
        "customer.orders": ("number", lambda view: view.turn.purchases),
        "customer.is_new": ("truth", lambda view: view.turn.purchases <= 1),
        "customer.is_returning": ("truth", lambda view: view.turn.purchases > 1),
        "customer.is_discount_only": (
            "truth",
            lambda view: 0 < view.turn.purchases == view.turn.discounted,
        ),
        "customer.spend": ("number", _spend),
        "customer.average_order": ("number", _average),
        "customer.is_vip": ("truth", lambda view: view.turn.spend_converted_minor >= view.turn.world.vip_spend_minor),
        "customer.country": ("text", _country),
        "customer.locale": ("text", _locale),
        "customer.language": ("text", lambda view: _locale(view).replace("_", "-").partition("-")[0].lower()),
        "customer.gender": ("text", lambda view: view.turn.profile.gender),
        "customer.age": ("number", _age),
        "customer.is_birthday_month": ("truth", _is_birthday_month),
        "customer.is_unsubscribed": ("truth", lambda view: bool(view.turn.consent.unsubscribed)),
        "customer.has_consent": ("truth", lambda view: view.turn.consent.marketing is True),
        "customer.days_since_first_order": ("number", lambda view: _days_since(view, view.turn.first_order_at)),
        "customer.days_since_last_order": ("number", lambda view: _days_since(view, view.turn.last_order_at)),
        "customer.days_since_visit": ("number", lambda view: _days_since(view, view.turn.visited_at)),
        "customer.days_since_open": ("number", lambda view: _days_since(view, _opened_at(view))),
        "customer.days_since_click": ("number", lambda view: _days_since(view, _clicked_at(view))),
        "customer.categories": ("list", _categories),
        "customer.skus": ("list", _skus),
        "customer.segments": ("list", lambda view: view.segments()),
        "customer.lists": ("list", lambda view: view.turn.lists),
        "customer.recency": ("number", _recency),
        "customer.frequency": ("number", _frequency),
        "customer.monetary": ("number", _monetary),
        "order.total": ("number", _total),
        "order.value": ("number", _value),
        "order.currency": ("text", lambda view: view.facts.currency if view.facts else ""),
        "order.country": ("text", lambda view: view.facts.country if view.facts else ""),
        "order.ship_country": ("text", _ship_country),
        "order.is_international": ("truth", lambda view: _ship_country(view) != _shop_country(view)),
        "order.lines": ("number", lambda view: len(_lines(view))),
        "order.quantity": ("number", lambda view: sum(line.quantity for line in _lines(view))),
        "order.categories": ("list", lambda view: tuple([line.category for line in _lines(view)])),
        "order.skus": ("list", lambda view: tuple([line.sku for line in _lines(view)])),
        "order.parcels": ("number", lambda view: view.order.parcels_in_order if view.order else 0),
        "order.is_refunded": ("truth", lambda view: view.order is not None and view.order.refunded_at is not None),
        "order.is_cancelled": ("truth", lambda view: view.order is not None and view.order.cancelled_at is not None),
        "order.is_late": ("truth", _is_late),
        "order.is_paid": ("truth", lambda view: view.order is not None and view.order.paid_at is not None),
        "order.discount": ("number", _discount),
        "order.is_discounted": ("truth", lambda view: _discount(view) > 0),
        "product.sku": ("text", lambda view: view.told("sku")),
        "product.is_bought": ("truth", _is_bought),
        "product.is_coming": ("truth", _is_coming),
        "product.category": ("text", lambda view: line.category if (line := _product(view)) else ""),
        "product.quantity": ("number", lambda view: line.quantity if (line := _product(view)) else 0),
        "shipment.carrier": ("text", lambda view: view.parcel.carrier if view.parcel else ""),
        "shipment.status": ("text", lambda view: view.parcel.status if view.parcel else ""),
        "shipment.has_tracking": ("truth", lambda view: bool(view.parcel and view.parcel.tracking_url)),
        "shipment.has_window": ("truth", lambda view: bool(view.parcel and view.parcel.window_to)),
        "event.flow": ("text", lambda view: view.told("flow")),
        "event.message": ("text", lambda view: view.told("message")),
        "event.link": ("text", lambda view: view.told("link")),
        "event.question": ("text", lambda view: view.told("question")),
        "event.answer": ("text", lambda view: view.told("answer")),
        "event.segment": ("text", lambda view: view.told("segment")),
        "reward.is_given": ("truth", lambda view: bool(view.reward)),
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
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_ORDERED = frozenset(("gt", "gteq", "lt", "lteq"))
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
        kind, closure = _build(_parsed(source), _Site(source, scope))
    except RecursionError as error:
        raise BadCondition("the condition is nested too deep", "make segments of its parts") from error
    if kind != "truth":
        raise BadCondition(
            f"a {kind} is not a condition", "compare it with something, for example customer.orders == 1"
        )
    return Condition(source, closure)


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
        return "number", lambda view: value
    if isinstance(node, (nodes.And, nodes.Or)):
        return _joined(node, site)
    if isinstance(node, nodes.Not):
        inside = _truth(node.node, site)
        return "truth", lambda view: not inside(view)
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
    if first in site.scope.absent:
        raise BadCondition(f"{name}: {site.scope.absent[first]}", "ask for something else", _place(site.source, name))
    if name == "customer.segments" and site.scope.segments is None:
        raise BadCondition("a segment cannot ask for segments", "write its condition out", _place(site.source, name))
    if first == "field" and _FIELD.match(rest):
        return "text", lambda view: dict(view.turn.fields).get(rest, "")
    if name in NAMES:
        return NAMES[name]
    near = get_close_matches(name, NAMES, n=1, cutoff=0.7)
    known = [other for other in NAMES if other.startswith(f"{first}.")]
    remedy = (
        f"known: {', '.join(known)}"
        if known
        else f"a name begins with {_FIRST_WORDS}; templates/README.md has them all"
    )
    raise BadCondition(
        f"unknown name {name}", f"did you mean {near[0]}?" if near else remedy, _place(site.source, name)
    )


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
    return "truth", lambda view: all(closure(view) for closure in closures)


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
        return lambda view: left(view) in right(view)
    if op == "notin":
        return lambda view: left(view) not in right(view)
    compare = _COMPARISONS[op]
    return lambda view: compare(left(view), right(view))
