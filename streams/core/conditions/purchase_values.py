"""The purchases of a period and of a category, which conditions call: `customer.orders_in(90d)`, `customer.orders_of("tea")`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from streams.core.conditions.context import EvalContext
from streams.core.model.orders.purchase_log import Purchase
from streams.core.values import local_time, money

#: Reads a value for a period and a category. The category "" stands for all.
PeriodValue: TypeAlias = Callable[[EvalContext, timedelta, str], int | Decimal]


class Call(NamedTuple):
    """A name that a condition calls.

    Attributes:
        read: reads the value.
        has_period: whether it needs a period.
        needs_category: whether it needs a category, which may otherwise follow the period.
        example: a comparison with it.
    """

    read: PeriodValue
    has_period: bool
    needs_category: bool
    example: str


def _purchases(context: EvalContext, category: str) -> tuple[Purchase, ...]:
    log = context.uow.purchases_known()
    if not category:
        return log.recent
    of_category = log.of(category)
    return of_category.recent if of_category is not None else ()


def _start(context: EvalContext, period: timedelta) -> datetime:
    return context.uow.now - local_time.scale(period, context.uow.ruleset.day_scale)


def _orders_in(context: EvalContext, period: timedelta, category: str) -> int:
    start = _start(context, period)
    return sum([each.orders for each in _purchases(context, category) if each.at > start])


def _spend_in(context: EvalContext, period: timedelta, category: str) -> Decimal:
    start = _start(context, period)
    minor = sum([each.minor for each in _purchases(context, category) if each.at > start])
    return money.major(money.saturated(minor), context.uow.ruleset.shop.currency)


def _orders_of(context: EvalContext, period: timedelta, category: str) -> int:
    of_category = context.uow.purchases_known().of(category)
    return of_category.orders if of_category is not None else 0


def top_category(context: EvalContext) -> str:
    """Return the category of the most orders, "" if none is known."""
    return next(iter(context.uow.purchases_known().favourites()), "")


#: Every name that a condition may call. The values are numbers; money is in major units of the shop's currency.
CALLS: Mapping[str, Call] = MappingProxyType(
    {
        "customer.orders_in": Call(_orders_in, True, False, "customer.orders_in(90d) >= 3"),
        "customer.spend_in": Call(_spend_in, True, False, "customer.spend_in(1y) >= 5000"),
        "customer.orders_of": Call(_orders_of, False, True, "customer.orders_of('tea') >= 2"),
    }
)
_SEPARATOR = " "


def dependency_of(name: str, period: timedelta, category: str) -> str:
    """Return the name under which a condition depends on the end of a period (see `flow.TimeDependencies`)."""
    return _SEPARATOR.join((name, str(round(period.total_seconds())), category))


def ends_of(context: EvalContext, dependency: str) -> Iterator[datetime]:
    """Yield the times (UTC), past ones included, at which a purchase is no longer in the period of a dependency."""
    _, seconds, category = dependency.split(_SEPARATOR, 2)
    length = local_time.scale(timedelta(seconds=int(seconds)), context.uow.ruleset.day_scale)
    yield from [each.at + length for each in _purchases(context, category)]


def is_period(dependency: str) -> bool:
    """Return whether a dependency is the end of a period."""
    return _SEPARATOR in dependency


def reader(name: str, period: timedelta, category: str) -> Callable[[Any], Any]:
    """Return the function that reads a call from an evaluation context."""
    read = CALLS[name].read
    return lambda context: read(context, period, category)
