"""The names that a condition may use, each with the kind of its value and the answer that a view gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from streams.core.conditions.context import View
from streams.core.model.events import OrderLine
from streams.core.values import local_time, money

Kind: TypeAlias = Literal["number", "text", "truth", "list"]
Closure: TypeAlias = Callable[[Any], Any]


def _shop_country(view: View) -> str:
    return view.uow.ruleset.shop.country


def _spend(view: View) -> Decimal:
    return money.major(view.uow.spend_converted_minor, view.uow.ruleset.shop.currency)


def _average(view: View) -> Decimal:
    return _spend(view) / view.uow.purchases if view.uow.purchases > 0 else Decimal(0)


def _total(view: View) -> Decimal:
    facts = view.facts
    return money.major(facts.total_minor, facts.currency) if facts else Decimal(0)


def _discount(view: View) -> Decimal:
    facts = view.facts
    return money.major(facts.discount_minor, facts.currency) if facts else Decimal(0)


def _value(view: View) -> Decimal:
    return money.major(view.order.converted_minor, view.uow.ruleset.shop.currency) if view.order else Decimal(0)


def _country(view: View) -> str:
    return view.uow.profile.country or (view.facts.country if view.facts else "") or _shop_country(view)


def _locale(view: View) -> str:
    return view.uow.profile.locale or view.uow.ruleset.shop.locale


def _ship_country(view: View) -> str:
    return view.facts.ship_country if view.facts else ""


def _lines(view: View) -> tuple[OrderLine, ...]:
    return view.facts.lines if view.facts else ()


def _days_since(view: View, moment: datetime | None) -> int:
    if moment is None:
        return NEVER_DAYS
    return max(0, local_time.shown(view.uow.now - moment, view.uow.ruleset.day_scale).days)


def _age(view: View) -> int:
    born = view.uow.profile.birthday
    if born is None or born.year <= NO_YEAR:
        return 0
    today = view.uow.now.astimezone(view.uow.zone_of(view.order)).date()
    return today.year - born.year - (today < local_time.day_in(today.year, born))


def _is_birthday_month(view: View) -> bool:
    born = view.uow.profile.birthday
    return born is not None and born.month == view.uow.now.astimezone(view.uow.zone_of(view.order)).month


def _opened_at(view: View) -> datetime | None:
    return max((sent.opened_at for sent in view.uow.sends if sent.opened_at is not None), default=None)


def _clicked_at(view: View) -> datetime | None:
    return max((sent.clicked_at for sent in view.uow.sends if sent.clicked_at is not None), default=None)


def _bought(view: View) -> Iterator[OrderLine]:
    for order in view.uow.orders:
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
    return _score(-_days_since(view, view.uow.last_order_at), RECENCY)


def _frequency(view: View) -> int:
    return _score(view.uow.purchases, FREQUENCY)


def _monetary(view: View) -> int:
    whole = view.uow.ruleset.vip_spend_minor
    return _score(view.uow.spend_converted_minor * 100, tuple([whole * percent for percent in MONETARY]))


def _is_late(view: View) -> bool:
    return view.order is not None and view.order.is_late(view.uow.now, view.uow.ruleset.late_at_most)


def _product(view: View) -> OrderLine | None:
    sku = view.told("sku")
    return next((line for line in _lines(view) if line.sku == sku), None)


def _is_coming(view: View) -> bool:
    launch = view.told("launches_at")
    return bool(launch) and datetime.fromisoformat(launch) > view.uow.now


def _is_bought(view: View) -> bool:
    """Whether the product was bought since it was looked at; of an order's product: in another order since."""
    sku, seen_at = view.told("sku"), view.told("seen_at")
    since = datetime.fromisoformat(seen_at) if seen_at else view.facts.placed_at if view.facts else None
    own = "" if seen_at or view.order is None else view.order.order_id
    return any(
        order.order_id != own and order.placed and order.cancelled_at is None and line.sku == sku
        for order in view.uow.orders
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

#: What the names that count days count from.
SINCE: Mapping[str, Callable[[View], datetime | None]] = MappingProxyType(
    {
        "customer.days_since_first_order": lambda view: view.uow.first_order_at,
        "customer.days_since_last_order": lambda view: view.uow.last_order_at,
        "customer.days_since_visit": lambda view: view.uow.visited_at,
        "customer.days_since_open": _opened_at,
        "customer.days_since_click": _clicked_at,
    }
)


def _counting(begin: Callable[[View], datetime | None]) -> Closure:
    return lambda view: _days_since(view, begin(view))


# Every name that a condition may use, the kind of its value and how it is read. Money is in major units: of the order's own
# currency for order.total and order.discount, of the shop's for order.value and customer.spend. What was bought is of the orders that are remembered.
NAMES: Mapping[str, tuple[Kind, Closure]] = MappingProxyType(
    {
        "customer.orders": ("number", lambda view: view.uow.purchases),
        "customer.is_new": ("truth", lambda view: view.uow.purchases <= 1),
        "customer.is_returning": ("truth", lambda view: view.uow.purchases > 1),
        "customer.is_discount_only": (
            "truth",
            lambda view: 0 < view.uow.purchases == view.uow.discounted,
        ),
        "customer.spend": ("number", _spend),
        "customer.average_order": ("number", _average),
        "customer.is_vip": ("truth", lambda view: view.uow.spend_converted_minor >= view.uow.ruleset.vip_spend_minor),
        "customer.country": ("text", _country),
        "customer.locale": ("text", _locale),
        "customer.language": ("text", lambda view: _locale(view).replace("_", "-").partition("-")[0].lower()),
        "customer.gender": ("text", lambda view: view.uow.profile.gender),
        "customer.age": ("number", _age),
        "customer.is_birthday_month": ("truth", _is_birthday_month),
        "customer.is_unsubscribed": ("truth", lambda view: view.uow.consent.is_unsubscribed()),
        "customer.has_consent": ("truth", lambda view: view.uow.consent.marketing is True),
        **{name: ("number", _counting(begin)) for name, begin in SINCE.items()},
        "customer.categories": ("list", _categories),
        "customer.skus": ("list", _skus),
        "customer.segments": ("list", lambda view: view.segments()),
        "customer.lists": ("list", lambda view: view.uow.lists),
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
