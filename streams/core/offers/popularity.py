"""How often products are bought, counted from the orders. All counts are integers, so that counting again gives the same result.

Each partition of the customers has its own counts and publishes them on the compacted topic `product-popularity`, one record per
product and partition. A reader keeps the last record of each and adds the partitions up, in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from streams.core.model.orders.order_state import OrderState
from streams.core.model.orders.purchase_log import is_purchase
from streams.core.model.versioned_codec import VersionedCodec

#: The number of weeks that count. An order of this week has weight 8, one of the week before 7, one of eight weeks ago 0.
WEEKS = 8
#: How many other products are remembered for each product.
MOST_PARTNERS = 32
#: The changes whose products are remembered, so that a ranking of all products follows them.
MOST_CHANGES = 10_000
#: The number of earlier products for which a new order counts as bought after them.
MOST_EARLIER = 10
_NO_WEEKS = (0,) * WEEKS
# A Monday. 1 January 1970 was a Thursday.
_EPOCH = datetime(1969, 12, 29, tzinfo=UTC)


class Change(Struct, frozen=True, gc=False):
    """How a change of one order changes the counts.

    Attributes:
        week: the week of the order.
        week_before: the week of the order before the change.
        gone: the products for which the order no longer counts, in `week_before`; sorted.
        come: the products for which the order counts now, in `week`; sorted.
        is_new: whether the order did not count before.
        earlier: for a new order, products that the customer bought before it; sorted.
    """

    week: int
    week_before: int
    gone: tuple[str, ...]
    come: tuple[str, ...]
    is_new: bool
    earlier: tuple[str, ...] = ()


class Sale(Struct, frozen=True, gc=False):
    """How a change affects the counts of one product.

    Attributes:
        sku: the product.
        week: the week that changes.
        orders: 1 for one order more, -1 for one order less, 0 for an order of other products only.
        also: the other products that were bought with it or after it; sorted.
    """

    sku: str
    week: int
    orders: int
    also: tuple[str, ...] = ()


class Counts(Struct, frozen=True, gc=False, array_like=True):
    """How often one partition's customers bought one product.

    Attributes:
        sku: the product.
        partition: the partition of the customers.
        newest_week: the newest week with an order.
        weeks: `WEEKS` numbers of orders: those of `newest_week`, of the week before it, and so on.
        also: how many orders contained another product with it or after it, as (sku, orders); sorted by sku.
    """

    sku: str
    partition: int
    newest_week: int = 0
    weeks: tuple[int, ...] = _NO_WEEKS
    also: tuple[tuple[str, int], ...] = ()


VERSION = 1
_CODEC: VersionedCodec[Counts] = VersionedCodec(Counts, "sales counts", VERSION)
encode_counts = _CODEC.encode
decode_counts = _CODEC.decode


def week_of(at: datetime) -> int:
    """Return the number of the week (Monday to Sunday, UTC) that contains `at`."""
    return (at - _EPOCH).days // 7


def change_of(before: OrderState | None, after: OrderState, orders: Sequence[OrderState] = ()) -> Change | None:
    """Return how a change of an order changes the counts, or None if it does not.

    An order counts from its placement until it is cancelled or refunded.

    Args:
        before: the order before the change; None if it was unknown.
        after: the order after the change.
        orders: all orders of the customer, the newest last. They matter only when the order starts to count.
    """
    (week_before, old), (week, new) = _week_and_skus(before), _week_and_skus(after)
    if (week_before, old) == (week, new):
        return None
    is_same_week = week == week_before
    gone, come = (old - new, new - old) if is_same_week else (old, new)
    is_new = bool(new) and not old
    earlier = _earlier_skus([order for order in orders if order is not after], new) if is_new else ()
    return Change(week, week_before, tuple(sorted(gone)), tuple(sorted(come)), is_new, earlier)


def sales_of(change: Change) -> Iterator[Sale]:
    """Yield the change of each product."""
    for sku in change.gone:
        yield Sale(sku, change.week_before, -1)
    together = change.come if change.is_new else ()
    for sku in change.come:
        yield Sale(sku, change.week, 1, tuple([other for other in together if other != sku]))
    for sku in change.earlier:
        yield Sale(sku, change.week, 0, together)


class Tally:
    """Adds sales to the counts of one product.

    The weeks do not depend on the order of the sales. The other products do, once there are more than `MOST_PARTNERS`. A new product
    then takes one off each of them, so that frequent ones stay. The log fixes the order.

    Source: Misra and Gries, Finding repeated elements, 1982.

    Args:
        before: the counts so far.
    """

    __slots__ = ("_also", "_before", "_newest", "_weeks")

    def __init__(self, before: Counts) -> None:
        self._before = before
        self._newest = before.newest_week
        self._weeks = [*before.weeks]
        self._also = dict(before.also)

    def add(self, sale: Sale) -> None:
        """Add a sale of the product."""
        ahead = min(max(sale.week - self._newest, 0), WEEKS)
        if ahead:
            self._newest, self._weeks = sale.week, [*_NO_WEEKS[:ahead], *self._weeks[: WEEKS - ahead]]
        age = self._newest - sale.week
        if age < WEEKS:
            self._weeks[age] += sale.orders
        also = self._also
        for sku in sale.also:
            if sku in also:
                also[sku] += 1
            elif len(also) < MOST_PARTNERS:
                also[sku] = 1
            else:
                also = self._also = {other: orders - 1 for other, orders in also.items() if orders > 1}

    def counts(self) -> Counts:
        """Return the counts with all sales added."""
        before = self._before
        return Counts(before.sku, before.partition, self._newest, tuple(self._weeks), tuple(sorted(self._also.items())))


class Popularity:
    """The counts of all partitions.

    Attributes:
        changes: how often the counts have changed. Results computed from them are valid while it stays the same.
    """

    __slots__ = ("_changed", "_parts", "_scores", "_week", "changes")

    def __init__(self, counts: Iterable[Counts] = ()) -> None:
        self._parts: dict[str, dict[int, Counts]] = {}
        self._week = 0
        self._scores: dict[str, int] = {}
        #: The products of the newest changes.
        self._changed: list[str] = []
        self.changes = 0
        for part in counts:
            self.put(part)

    def put(self, counts: Counts) -> None:
        """Replace the counts of one product and partition."""
        parts = self._parts.setdefault(counts.sku, {})
        if parts.get(counts.partition) == counts:
            return
        parts[counts.partition] = counts
        self._note(counts.sku)

    def remove(self, sku: str, partition: int) -> None:
        """Remove the counts of one product and partition, if there are any."""
        parts = self._parts.get(sku, {})
        if parts.pop(partition, None) is None:
            return
        if not parts:
            del self._parts[sku]
        self._note(sku)

    def _note(self, sku: str) -> None:
        self._scores.pop(sku, None)
        self.changes += 1
        if len(self._changed) >= MOST_CHANGES:
            self._changed.clear()
        self._changed.append(sku)

    def changed_since(self, changes: int) -> set[str] | None:
        """Return the products whose counts changed since there were so many `changes`; None if they are no longer known."""
        number = self.changes - changes
        return set(self._changed[len(self._changed) - number :]) if number <= len(self._changed) else None

    def score(self, sku: str, week: int) -> int:
        """Return how popular a product is in `week`: its recent orders, older ones with less weight."""
        if week != self._week:
            self._week, self._scores = week, {}
        score = self._scores.get(sku)
        if score is None:
            score = self._scores[sku] = sum(_score(part, week) for part in self._parts.get(sku, {}).values())
        return score

    def also_bought(self, sku: str) -> Mapping[str, int]:
        """Return the products bought with this one or after it, each with a lower bound of its orders."""
        parts = self._parts.get(sku)
        if not parts:
            return {}
        return _summed(parts.values())

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)


_NO_SALES: tuple[int, frozenset[str]] = (0, frozenset())


def _week_and_skus(order: OrderState | None) -> tuple[int, frozenset[str]]:
    """Return the week in which an order counts, and its products; none if it does not count."""
    if order is None or order.facts is None or order.refunded_at or not is_purchase(order):
        return _NO_SALES
    facts = order.facts
    return week_of(facts.placed_at), frozenset([line.sku for line in facts.lines if line.is_orderable])


def _earlier_skus(orders: Sequence[OrderState], new: frozenset[str]) -> tuple[str, ...]:
    """Return products of the newest orders, without the products `new`: `MOST_EARLIER` at most, sorted."""
    skus: dict[str, None] = {}
    for order in reversed(orders):
        skus.update(dict.fromkeys(sorted(_week_and_skus(order)[1] - new)))
        if len(skus) >= MOST_EARLIER:
            break
    return tuple(sorted([*skus][:MOST_EARLIER]))


def _score(counts: Counts, week: int) -> int:
    age = week - counts.newest_week
    return sum(orders * (WEEKS - max(age + back, 0)) for back, orders in enumerate(counts.weeks) if age + back < WEEKS)


def _summed(parts: Iterable[Counts]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        for sku, orders in part.also:
            total[sku] += orders
    return total
