"""The purchases of a customer by time and by category, for periods such as the last 90 days and for favourite categories.

The log is bounded: it has the newest purchases, and of the newest categories. It follows the totals of the customer: each change of an
order takes its earlier share out and puts the present one in, so an order that the state no longer stores can still be refunded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from streams.core.model.orders.receipt import receipt_of
from streams.core.rules.purchase_use import LogBounds
from streams.core.values import money
from streams.core.values.moments import LONG_AGO

if TYPE_CHECKING:
    from streams.core.model.orders.order_state import OrderState


class Purchase(Struct, frozen=True, gc=False, array_like=True):
    """The purchases of one moment.

    Attributes:
        at: when they were made, UTC.
        orders: how many there are.
        minor: what the customer paid for them and did not get back, in minor units of the shop's currency.
    """

    at: datetime
    orders: int = 1
    minor: int = 0


class CategoryPurchases(Struct, frozen=True, gc=False, array_like=True):
    """The purchases of one category: how many orders there were ever, and the newest ones, the oldest first."""

    category: str
    orders: int = 0
    recent: tuple[Purchase, ...] = ()

    @property
    def newest_at(self) -> datetime:
        """When the category was bought last, UTC."""
        return self.recent[-1].at if self.recent else LONG_AGO


class PurchaseLog(Struct, frozen=True, gc=False, array_like=True):
    """The newest purchases, the oldest first, and those of the categories that were bought last, sorted by name."""

    recent: tuple[Purchase, ...] = ()
    categories: tuple[CategoryPurchases, ...] = ()

    def of(self, category: str) -> CategoryPurchases | None:
        """Return the purchases of a category, or None."""
        return next((each for each in self.categories if each.category == category), None)

    def favourites(self) -> list[str]:
        """Return the categories, those of the most orders first; among equals the one that was bought last, then the first by name."""
        return [category for category, _ in self.counts()]

    def counts(self) -> tuple[tuple[str, int], ...]:
        """Return the categories with their orders, in the order of `favourites`."""
        newest_first = sorted(self.categories, key=lambda each: (each.orders, each.newest_at), reverse=True)
        return tuple([(each.category, each.orders) for each in newest_first])


class Share(NamedTuple):
    """The share of one order: its time (UTC), what was paid in minor units of the shop's currency, and the part of each category."""

    at: datetime
    minor: int
    categories: Mapping[str, int]


class Worth(NamedTuple):
    """The share of an order in the totals: purchases, currency, spend, spend in the shop's currency, and purchases with a discount."""

    purchases: int = 0
    currency: str = ""
    minor: int = 0
    converted_minor: int = 0
    discounted: int = 0


_NOTHING = Worth()
EMPTY = PurchaseLog()


def is_purchase(order: OrderState | None) -> bool:
    """Return whether an order counts in the totals. A cancelled order does not, and neither does a test."""
    if order is None or order.facts is None or not order.placed or order.cancelled_at is not None:
        return False
    return not order.is_test


def worth(order: OrderState | None) -> Worth:
    """Return the order's share of the totals. Refunded amounts are not spend."""
    if order is None or order.facts is None or not is_purchase(order):
        return _NOTHING
    total, discounted = order.facts.total_minor, int(order.facts.discount_minor > 0)
    kept = 0 if order.refunded_at is not None else total - order.refund_minor
    if not kept:
        return Worth(1, "", 0, 0, discounted)
    return Worth(1, order.facts.currency, kept, order.converted_minor * kept // total, discounted)


def share_of(order: OrderState | None) -> Share | None:
    """Return the share of an order in the log; None if it is not a purchase.

    A category gets what its lines are of all lines. So discounts, shipping and refunds are divided between the categories.
    """
    value = worth(order)
    if not value.purchases or order is None or order.facts is None:
        return None
    facts = order.facts
    amounts = receipt_of(facts.lines, facts.total_minor, facts.discount_minor, facts.details).lines
    of_category: dict[str, int] = {}
    whole = 0
    for line, amount in zip(facts.lines, amounts, strict=True):
        if line.is_goods:
            whole += max(amount, 0)
            if line.category:
                of_category[line.category] = of_category.get(line.category, 0) + max(amount, 0)
    categories = {name: value.converted_minor * part // whole if whole else 0 for name, part in of_category.items()}
    return Share(facts.placed_at, value.converted_minor, categories)


def log_of(orders: Iterable[OrderState], bounds: LogBounds) -> PurchaseLog:
    """Return the log of these orders alone."""
    log = EMPTY
    for order in orders:
        log = replaced(log, None, share_of(order), bounds)
    return log


def replaced(log: PurchaseLog, before: Share | None, after: Share | None, bounds: LogBounds) -> PurchaseLog:
    """Return the log with one share of an order in place of another. A purchase that the log no longer has stays out."""
    if before == after:
        return log
    recent = _recent(log.recent, before, after, bounds.purchases)
    names = {*(before.categories if before is not None else ()), *(after.categories if after is not None else ())}
    if not names:
        return PurchaseLog(recent, log.categories)
    categories = {each.category: each for each in log.categories}
    for name in names:
        old, new = _part(before, name), _part(after, name)
        known = categories.pop(name, None) or CategoryPurchases(name)
        orders = known.orders + (new is not None) - (old is not None)
        if orders > 0:
            categories[name] = CategoryPurchases(name, orders, _recent(known.recent, old, new, bounds.of_category))
    return PurchaseLog(recent, _kept(categories, bounds))


def merged(one: PurchaseLog, other: PurchaseLog, bounds: LogBounds) -> PurchaseLog:
    """Return the sum of two logs."""
    categories = {each.category: each for each in one.categories}
    for each in other.categories:
        own = categories.get(each.category)
        if own is not None:
            recent = _sum(own.recent, each.recent, bounds.of_category)
            each = CategoryPurchases(each.category, own.orders + each.orders, recent)  # the sum of both
        categories[each.category] = each
    return PurchaseLog(_sum(one.recent, other.recent, bounds.purchases), _kept(categories, bounds))


def _part(share: Share | None, category: str) -> Share | None:
    if share is None or category not in share.categories:
        return None
    return Share(share.at, share.categories[category], {})


def _recent(recent: tuple[Purchase, ...], before: Share | None, after: Share | None, most: int) -> tuple[Purchase, ...]:
    if before is not None:
        kept = []
        for each in recent:
            if each.at != before.at:
                kept.append(each)
            elif each.orders > 1:
                kept.append(Purchase(each.at, each.orders - 1, money.saturated(each.minor - before.minor)))
            elif after is not None and after.at == before.at:
                return tuple([Purchase(each.at, 1, after.minor) if other is each else other for other in recent])
        recent = tuple(kept)
    return recent if after is None else _sum(recent, (Purchase(after.at, 1, after.minor),), most)


def _sum(one: tuple[Purchase, ...], other: tuple[Purchase, ...], most: int) -> tuple[Purchase, ...]:
    if one and len(other) == 1 and one[-1].at < other[0].at:  # a new purchase
        return (*one, *other)[-most:]
    sums = {each.at: each for each in one}
    for each in other:
        own = sums.get(each.at)
        sums[each.at] = (
            each
            if own is None
            else Purchase(each.at, own.orders + each.orders, money.saturated(own.minor + each.minor))
        )
    return tuple([sums[at] for at in sorted(sums)])[-most:]


def _kept(categories: Mapping[str, CategoryPurchases], bounds: LogBounds) -> tuple[CategoryPurchases, ...]:
    """Return the categories that were bought last, sorted by name."""
    found = sorted(categories.values(), key=lambda each: (each.newest_at, each.category))
    return tuple(sorted(found[-bounds.categories :], key=lambda each: each.category))
