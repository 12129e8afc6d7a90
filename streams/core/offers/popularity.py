"""How often products are bought, counted from the orders: whole numbers only, so that counting again gives the same.

Each partition of the customers keeps its own counts and publishes them on the compacted topic `product-popularity`, one record per
product and partition. A reader keeps the last record of each and adds the partitions up, in whatever order they come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from streams.core.model.customer import OrderState
from streams.core.model.versioned_codec import VersionedCodec

#: Weeks that count. An order of this week weighs 8, one of the week before 7, one of eight weeks ago nothing.
WEEKS = 8
#: Other products that are remembered for one.
MOST_PARTNERS = 32
#: Products of earlier orders to which a new order tells what was bought after them.
MOST_EARLIER = 10
_NO_WEEKS = (0,) * WEEKS
# Monday: the first day of 1970 was a Thursday.
_EPOCH = datetime(1969, 12, 29, tzinfo=UTC)


class Change(Struct, frozen=True, gc=False):
    """What became different for the counts by a change of one order.

    It counts no longer for the products `gone`, of `week_before`, and counts now for `come`, of `week`; both sorted. `is_new`: it did not
    count at all before; then `earlier` are products that the customer bought before, sorted.
    """

    week: int
    week_before: int
    gone: tuple[str, ...]
    come: tuple[str, ...]
    is_new: bool
    earlier: tuple[str, ...] = ()


class Sale(Struct, frozen=True, gc=False):
    """What a change does to the counts of one product.

    `orders` is 1 for an order more in `week`, -1 for one less, 0 for an order of other products only. `also` are the other products that
    were bought with it or after it, sorted.
    """

    sku: str
    week: int
    orders: int
    also: tuple[str, ...] = ()


class Counts(Struct, frozen=True, gc=False, array_like=True):
    """How often one partition's customers bought one product.

    `weeks` has `WEEKS` numbers: orders of `newest_week`, the newest that was counted, of the week before it, and so on. `also` says how many
    orders held another product with it or after it: (sku, orders), sorted by sku.
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
    """The number of the week (Monday to Sunday, UTC) in which `at` lies."""
    return (at - _EPOCH).days // 7


def change_of(before: OrderState | None, after: OrderState, orders: Sequence[OrderState] = ()) -> Change | None:
    """What has become different for the counts, or None: an order counts once from when it is placed until it is cancelled or refunded.

    Args:
        before: the order as it was known; None if it was not.
        after: the order as it is known now.
        orders: all orders of the customer, the newest last. What is bought together is told once, when the order begins to count.
    """
    had, has = _counted(before), _counted(after)
    if had == has:
        return None
    (week_before, old), (week, new) = had, has
    is_same_week = week == week_before
    gone, come = (old - new, new - old) if is_same_week else (old, new)
    is_new = bool(new) and not old
    earlier = _earlier(orders, new) if is_new else ()
    return Change(week, week_before, tuple(sorted(gone)), tuple(sorted(come)), is_new, earlier)


def sales_of(change: Change) -> Iterator[Sale]:
    """A change product by product."""
    for sku in change.gone:
        yield Sale(sku, change.week_before, -1)
    together = change.come if change.is_new else ()
    for sku in change.come:
        yield Sale(sku, change.week, 1, tuple([one for one in together if one != sku]))
    for sku in change.earlier:
        yield Sale(sku, change.week, 0, together)


class Tally:
    """The counts of one product while they change: as many sales as there are, and the counts once.

    The weeks do not depend on the order of the sales. The other products do once there are more than `MOST_PARTNERS`: then each that is
    not among them takes one off all of them (Misra-Gries), so that those bought often stay. In a log the order is always the same.
    """

    __slots__ = ("_also", "_known", "_newest", "_weeks")

    def __init__(self, known: Counts) -> None:
        self._known = known
        self._newest = known.newest_week
        self._weeks = [*known.weeks]
        self._also = dict(known.also)

    def add(self, sale: Sale) -> None:
        """Count a sale of the same product."""
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
                also = self._also = {one: orders - 1 for one, orders in also.items() if orders > 1}

    def counts(self) -> Counts:
        """The counts after all of them."""
        known = self._known
        return Counts(known.sku, known.partition, self._newest, tuple(self._weeks), tuple(sorted(self._also.items())))


class Popularity:
    """The counts of all partitions together."""

    __slots__ = ("_parts", "_scores", "_week", "changes")

    def __init__(self, counts: Iterable[Counts] = ()) -> None:
        self._parts: dict[str, dict[int, Counts]] = {}
        self._week = 0
        self._scores: dict[str, int] = {}
        #: How often it has changed: what was worked out from it holds while this stays.
        self.changes = 0
        for one in counts:
            self.put(one)

    def put(self, counts: Counts) -> None:
        """Take in what a partition counts now, in the place of what it counted before."""
        parts = self._parts.setdefault(counts.sku, {})
        if parts.get(counts.partition) == counts:
            return
        parts[counts.partition] = counts
        self._scores.pop(counts.sku, None)
        self.changes += 1

    def remove(self, sku: str, partition: int) -> None:
        """Forget what a partition counted, if it did."""
        parts = self._parts.get(sku, {})
        if parts.pop(partition, None) is None:
            return
        if not parts:
            del self._parts[sku]
        self._scores.pop(sku, None)
        self.changes += 1

    def score(self, sku: str, week: int) -> int:
        """How popular a product is in `week`: its orders, each weighing the less the older; 0 if nobody bought it lately."""
        if week != self._week:
            self._week, self._scores = week, {}
        known = self._scores.get(sku)
        if known is None:
            known = self._scores[sku] = sum(_score(part, week) for part in self._parts.get(sku, {}).values())
        return known

    def also_bought(self, sku: str) -> Mapping[str, int]:
        """The other products bought with this one or after it, and in how many orders (at least)."""
        parts = self._parts.get(sku)
        if not parts:
            return {}
        return _summed(parts.values())

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)


_NOTHING: tuple[int, frozenset[str]] = (0, frozenset())


def _counted(order: OrderState | None) -> tuple[int, frozenset[str]]:
    """The week in which an order counts, and for which products."""
    if order is None or order.facts is None or not order.placed or order.cancelled_at or order.refunded_at:
        return _NOTHING
    facts = order.facts
    return week_of(facts.placed_at), frozenset([line.sku for line in facts.lines])


def _earlier(orders: Sequence[OrderState], bought: frozenset[str]) -> tuple[str, ...]:
    """Products of the customer's orders but those of this one, those of the newest first, `MOST_EARLIER` at most; sorted."""
    found: dict[str, None] = {}
    for order in reversed(orders):
        found.update(dict.fromkeys(sorted(_counted(order)[1] - bought)))
        if len(found) >= MOST_EARLIER:
            break
    return tuple(sorted([*found][:MOST_EARLIER]))


def _score(counts: Counts, week: int) -> int:
    age = week - counts.newest_week
    return sum(orders * (WEEKS - max(age + back, 0)) for back, orders in enumerate(counts.weeks) if age + back < WEEKS)


def _summed(parts: Iterable[Counts]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        for sku, orders in part.also:
            total[sku] += orders
    return total
