"""The names that a condition may use: the kind of each value, and how it is read from the evaluation context."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from streams.core.conditions import date_values, order_values, product_values
from streams.core.conditions.context import EvalContext
from streams.core.conditions.date_values import NEVER_DAYS
from streams.core.conditions.postal_codes import POSTAL_CODE
from streams.core.conditions.purchase_values import top_category
from streams.core.model.customer import NO_YEAR
from streams.core.model.instance import REWARD_ENDS, REWARD_NAME
from streams.core.model.orders.order import OrderLine
from streams.core.model.orders.purchase_log import is_purchase
from streams.core.model.traits import LIKE, WISH
from streams.core.rules.purchase_use import TOP_CATEGORY as TOP_CATEGORY
from streams.core.values import local_time, money

Kind: TypeAlias = Literal["number", "text", "boolean", "list"]
Closure: TypeAlias = Callable[[Any], Any]


def _shop_country(context: EvalContext) -> str:
    return context.uow.ruleset.shop.country


def orders_of(context: EvalContext) -> int:
    """Return the number of purchases, those before the first record included."""
    history = context.uow.history
    return context.uow.purchases + (history.orders if history is not None else 0)


def spend_minor(context: EvalContext) -> int:
    history = context.uow.history
    return context.uow.spend_converted_minor + (history.spend_minor if history is not None else 0)


def _history(context: EvalContext) -> str:
    """Return how much is known of earlier purchases: what the shop said of the customer, else of all customers."""
    history = context.uow.history
    return history.state if history is not None else context.uow.ruleset.rules.history


def _is_new(context: EvalContext) -> bool:
    return orders_of(context) <= 1 and _history(context) == "complete"


def _spend(context: EvalContext) -> Decimal:
    return money.major(spend_minor(context), context.uow.ruleset.shop.currency)


def _average(context: EvalContext) -> Decimal:
    return _spend(context) / orders_of(context) if orders_of(context) > 0 else Decimal(0)


def _country(context: EvalContext) -> str:
    return context.uow.profile.country or (context.facts.country if context.facts else "") or _shop_country(context)


def _locale(context: EvalContext) -> str:
    return context.uow.profile.locale or context.uow.ruleset.shop.locale


def _days_since(context: EvalContext, since: datetime | None) -> int:
    if since is None:
        return NEVER_DAYS
    return max(0, local_time.unscale(context.uow.now - since, context.uow.ruleset.day_scale).days)


def _age(context: EvalContext) -> int:
    born = context.uow.profile.birthday
    if born is None or born.year <= NO_YEAR:
        return 0
    today = date_values.here(context).date()
    return today.year - born.year - (today < local_time.day_in(today.year, born))


def _is_birthday_month(context: EvalContext) -> bool:
    born = context.uow.profile.birthday
    return born is not None and born.month == date_values.here(context).month


def _opened_at(context: EvalContext) -> datetime | None:
    return max((sent.opened_at for sent in context.uow.sends if sent.opened_at is not None), default=None)


def _clicked_at(context: EvalContext) -> datetime | None:
    return max((sent.clicked_at for sent in context.uow.sends if sent.clicked_at is not None), default=None)


def _bought(context: EvalContext) -> Iterator[OrderLine]:
    for order in context.uow.orders:
        if order.facts is not None and is_purchase(order):
            yield from [line for line in order.facts.lines if line.is_goods]


def _categories(context: EvalContext) -> tuple[str, ...]:
    return tuple([line.category for line in _bought(context)])


def _skus(context: EvalContext) -> tuple[str, ...]:
    return tuple([line.sku for line in _bought(context) if line.sku])


def _systems(context: EvalContext) -> tuple[str, ...]:
    """Return the other systems in which the customer has an id."""
    return tuple([each.name for each in context.uow.profile.traits.external_ids if each.value is not None])


def _score(value: Decimal | int, bounds: tuple[Decimal | int, ...]) -> int:
    """Return a score from 1 to 5: one more for each of the four bounds that `value` reaches."""
    return 1 + sum(value >= bound for bound in bounds)


def _recency(context: EvalContext) -> int:
    return _score(-_days_since(context, context.uow.last_order_at), RECENCY)


def _frequency(context: EvalContext) -> int:
    return _score(orders_of(context), FREQUENCY)


def _monetary(context: EvalContext) -> int:
    vip_spend = context.uow.ruleset.vip_spend_minor
    return _score(spend_minor(context) * 100, tuple([vip_spend * percent for percent in MONETARY]))


def _days_left(context: EvalContext) -> int:
    """Return the whole days until the code of the newest reward ends: 0 without a code."""
    if not context.reward:
        return 0
    ends_at = context.data(REWARD_ENDS)
    if not ends_at:  # given by an earlier version, which did not store the end
        return NEVER_DAYS
    left = datetime.fromisoformat(ends_at) - context.uow.now
    return max(0, local_time.unscale(left, context.uow.ruleset.day_scale).days)


#: Bounds of the scores 2 to 5: days since the last order (negative, since fewer are better), orders, percent of the spend of a VIP.
RECENCY = (-365, -180, -90, -30)
FREQUENCY = (2, 3, 5, 10)
MONETARY = (5, 15, 40, 100)

#: The time from which each name of days counts.
SINCE: Mapping[str, Callable[[EvalContext], datetime | None]] = MappingProxyType(
    {
        "customer.days_since_first_order": lambda context: context.uow.first_order_at,
        "customer.days_since_last_order": lambda context: context.uow.last_order_at,
        "customer.days_since_visit": lambda context: context.uow.visited_at,
        "customer.days_since_open": _opened_at,
        "customer.days_since_click": _clicked_at,
    }
)


def _counting(since: Callable[[EvalContext], datetime | None]) -> Closure:
    return lambda context: _days_since(context, since(context))


#: The data of events that conditions read as `event.<name>`, and templates too.
EVENT_DATA = ("flow", "message", "link", "question", "answer", "number", "stars", "contest", "segment")

#: The names of the round of the repetition around a step, and of the number of all its rounds.
ROUND_NAMES = ("repeat.round", "repeat.rounds")
#: Every name that a condition may use, the kind of its value and the function that reads it.
#:
#: Money is in major units: order.total and order.discount in the order's currency, order.value and customer.spend in the shop's.
#: Names about purchases read the orders that are still remembered.
NAMES: Mapping[str, tuple[Kind, Closure]] = MappingProxyType(
    {
        "customer.orders": ("number", orders_of),
        # Both are false while the first record of a customer may be of a later order: the flow takes its generic branch.
        "customer.is_new": ("boolean", _is_new),
        "customer.is_returning": ("boolean", lambda context: orders_of(context) > 1),
        "customer.history": ("text", _history),
        "customer.is_discount_only": (
            "boolean",
            lambda context: 0 < orders_of(context) == context.uow.discounted,
        ),
        "customer.spend": ("number", _spend),
        "customer.average_order": ("number", _average),
        "customer.is_vip": (
            "boolean",
            lambda context: spend_minor(context) >= context.uow.ruleset.vip_spend_minor,
        ),
        "customer.country": ("text", _country),
        "customer.locale": ("text", _locale),
        "customer.language": ("text", lambda context: _locale(context).replace("_", "-").partition("-")[0].lower()),
        "customer.gender": ("text", lambda context: context.uow.profile.gender),
        POSTAL_CODE: ("text", lambda context: context.uow.profile.traits.postal_code),
        "customer.city": ("text", lambda context: context.uow.profile.traits.city),
        "customer.is_company": ("boolean", lambda context: context.uow.profile.traits.is_company is True),
        "customer.external_ids": ("list", _systems),
        "customer.age": ("number", _age),
        "customer.is_birthday_month": ("boolean", _is_birthday_month),
        "customer.is_unsubscribed": ("boolean", lambda context: context.uow.consent.is_unsubscribed()),
        "customer.has_consent": ("boolean", lambda context: context.uow.consent.marketing is True),
        **{name: ("number", _counting(since)) for name, since in SINCE.items()},
        "customer.categories": ("list", _categories),
        "customer.skus": ("list", _skus),
        TOP_CATEGORY: ("text", top_category),
        "customer.segments": ("list", lambda context: context.segments()),
        "customer.lists": ("list", lambda context: context.uow.lists),
        "customer.wishes": ("list", lambda context: context.uow.profile.traits.skus(WISH)),
        "customer.wish_count": ("number", lambda context: len(context.uow.profile.traits.skus(WISH))),
        "customer.dates": ("list", date_values.date_names),
        "customer.likes": ("list", lambda context: context.uow.profile.traits.skus(LIKE)),
        "customer.recency": ("number", _recency),
        "customer.frequency": ("number", _frequency),
        "customer.monetary": ("number", _monetary),
        "order.total": ("number", order_values.total),
        "order.value": ("number", order_values.value),
        "order.currency": ("text", lambda context: context.facts.currency if context.facts else ""),
        "order.country": ("text", lambda context: context.facts.country if context.facts else ""),
        "order.ship_country": ("text", order_values.ship_country),
        "order.is_international": (
            "boolean",
            lambda context: order_values.ship_country(context) != _shop_country(context),
        ),
        "order.lines": ("number", lambda context: len(order_values.lines(context))),
        "order.quantity": ("number", lambda context: sum(line.quantity for line in order_values.lines(context))),
        "order.categories": ("list", lambda context: tuple([line.category for line in order_values.lines(context)])),
        "order.skus": ("list", lambda context: tuple([line.sku for line in order_values.lines(context) if line.sku])),
        "order.parcels": ("number", lambda context: context.order.parcels_in_order if context.order else 0),
        "order.is_refunded": (
            "boolean",
            lambda context: context.order is not None and context.order.refunded_at is not None,
        ),
        "order.is_cancelled": (
            "boolean",
            lambda context: context.order is not None and context.order.cancelled_at is not None,
        ),
        "order.is_late": ("boolean", order_values.is_late),
        "order.is_paid": ("boolean", lambda context: context.order is not None and context.order.paid_at is not None),
        "order.discount": ("number", order_values.discount),
        "order.subtotal": ("number", order_values.subtotal),
        "order.shipping": ("number", order_values.shipping),
        "order.refunded": ("number", order_values.refunded),
        "order.is_gift": ("boolean", lambda context: order_values.details(context).is_gift),
        "order.is_pickup": ("boolean", lambda context: order_values.details(context).pickup_point is not None),
        "order.tags": ("list", lambda context: order_values.details(context).tags),
        "order.payment_method": ("text", lambda context: order_values.details(context).payment_method),
        "order.is_invoiced": ("boolean", order_values.is_invoiced),
        "order.adds_up": ("boolean", lambda context: context.order is None or not context.order.does_not_add_up),
        "order.is_discounted": ("boolean", lambda context: order_values.discount(context) > 0),
        "order.weekday": ("text", lambda context: date_values.weekday(date_values.placed(context))),
        "order.month": ("number", lambda context: date_values.month(date_values.placed(context))),
        "order.hour": ("number", lambda context: date_values.hour(date_values.placed(context))),
        "product.sku": ("text", lambda context: context.data("sku")),
        "product.is_bought": ("boolean", order_values.is_bought),
        "product.is_coming": ("boolean", order_values.is_coming),
        "product.category": ("text", lambda context: line.category if (line := order_values.product(context)) else ""),
        "product.quantity": ("number", lambda context: line.quantity if (line := order_values.product(context)) else 0),
        "product.lasts_days": ("number", order_values.lasts_days),
        "product.price": ("number", product_values.price),
        "product.old_price": ("number", product_values.old_price),
        "product.price_drop": ("number", product_values.price_drop),
        "product.price_drop_percent": ("number", product_values.price_drop_percent),
        "product.replaces": ("text", lambda context: context.data("replaced_sku")),
        "shipment.carrier": ("text", lambda context: context.parcel.carrier if context.parcel else ""),
        "shipment.status": ("text", lambda context: context.parcel.status if context.parcel else ""),
        "shipment.has_tracking": ("boolean", lambda context: bool(context.parcel and context.parcel.tracking_url)),
        "shipment.has_window": ("boolean", lambda context: bool(context.parcel and context.parcel.window_to)),
        "shipment.exception_reason": (
            "text",
            lambda context: (
                context.parcel.details.exception_reason if context.parcel and context.parcel.details else ""
            ),
        ),
        "event.flow": ("text", lambda context: context.data("flow")),
        "event.message": ("text", lambda context: context.data("message")),
        "event.link": ("text", lambda context: context.data("link")),
        "event.question": ("text", lambda context: context.data("question")),
        "event.answer": ("text", lambda context: context.data("answer")),
        "event.number": ("number", lambda context: Decimal(context.data("number") or 0) / 1000),
        "event.stars": ("number", lambda context: int(context.data("stars") or 0)),
        "event.contest": ("text", lambda context: context.data("contest")),
        "event.request": ("text", lambda context: context.data("kind")),
        "event.segment": ("text", lambda context: context.data("segment")),
        "reward.name": ("text", lambda context: context.data(REWARD_NAME) if context.reward else ""),
        "reward.days_left": ("number", _days_left),
        "reward.is_given": ("boolean", lambda context: bool(context.reward)),
        "today.weekday": ("text", lambda context: date_values.weekday(date_values.here(context))),
        "today.month": ("number", lambda context: date_values.month(date_values.here(context))),
        "today.hour": ("number", lambda context: date_values.hour(date_values.here(context))),
        "shop.country": ("text", _shop_country),
        "shop.currency": ("text", lambda context: context.uow.ruleset.shop.currency),
        "shop.locale": ("text", lambda context: context.uow.ruleset.shop.locale),
        # Each round of a repetition has steps of its own, so its number is a constant: the reader of a flow puts it there.
        **dict.fromkeys(ROUND_NAMES, ("number", lambda context: 0)),
    }
)
