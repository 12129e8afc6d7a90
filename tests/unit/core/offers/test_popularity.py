"""Popularity: what an order counts for, the weeks that count, and the bound on remembered products."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from streams.core.model.orders.order_state import OrderState
from streams.core.offers.popularity import (
    MOST_EARLIER,
    MOST_PARTNERS,
    WEEKS,
    Counts,
    Popularity,
    Sale,
    Tally,
    change_of,
    sales_of,
    week_of,
)
from tests.harness.products import AT, WEEK, counts_of, order


def sales_of_change(
    before: OrderState | None, after: OrderState, orders: Sequence[OrderState] = ()
) -> tuple[Sale, ...]:
    """Return the sales that a change of an order causes."""
    change = change_of(before, after, orders)
    return tuple(sales_of(change)) if change is not None else ()


def count(before: Counts, *sales: Sale) -> Counts:
    """Return the counts with these sales added."""
    tally = Tally(before)
    for sale in sales:
        tally.add(sale)
    return tally.counts()


@pytest.mark.parametrize(
    ("at", "week"),
    [
        ("1970-01-04T23:59:59", 0),
        ("1970-01-05T00:00:00", 1),
        ("2026-03-22T23:59:59", 2933),
        ("2026-03-23T00:00:00", 2934),
    ],
)
def test_weeks_begin_on_monday(at: str, week: int) -> None:
    """The number of the week changes between Sunday and Monday, UTC."""
    assert week_of(datetime.fromisoformat(at).replace(tzinfo=UTC)) == week


PLACED = order("o1", "a", "b")


@pytest.mark.parametrize(
    ("before", "after", "sales"),
    [
        pytest.param(None, PLACED, (Sale("a", WEEK, 1, ("b",)), Sale("b", WEEK, 1, ("a",))), id="placed"),
        pytest.param(PLACED, PLACED, (), id="unchanged"),
        pytest.param(None, order("o1", "a", placed=False), (), id="only changed so far"),
        pytest.param(OrderState("o1"), order("o1", "a", "a"), (Sale("a", WEEK, 1),), id="parcels arrived first; two lines are one order"),
        pytest.param(PLACED, order("o1", "a", "b", cancelled_at=AT), (Sale("a", WEEK, -1), Sale("b", WEEK, -1)), id="cancelled"),
        pytest.param(order("o1", "a", cancelled_at=AT), order("o1", "a", cancelled_at=AT, refunded_at=AT), (), id="refunded after that"),
        pytest.param(None, order("o1", "a", refunded_at=AT), (), id="refunded before it was placed"),
        pytest.param(PLACED, order("o1", "b", "c"), (Sale("a", WEEK, -1), Sale("c", WEEK, 1)), id="changed"),
    ],
)  # fmt: skip
def test_what_an_order_counts_for(before: OrderState | None, after: OrderState, sales: tuple[Sale, ...]) -> None:
    """An order counts once for each product, from its placement until it is cancelled or refunded."""
    assert sales_of_change(before, after) == sales


def test_what_was_bought_before_hears_of_it() -> None:
    """Earlier products learn which products were bought after them: a bounded number, not of cancelled orders."""
    earlier = [order("o0", "x"), order("o1", "p", "a"), order("o2", "q", cancelled_at=AT)]
    sales = sales_of_change(None, order("o3", "a"), [*earlier, order("o3", "a")])  # the orders include the new one
    assert sales == (Sale("a", WEEK, 1), Sale("p", WEEK, 0, ("a",)), Sale("x", WEEK, 0, ("a",)))
    many = [order("old", "old"), order("new", *[f"s{number:02}" for number in range(MOST_EARLIER)])]
    skus = [sale.sku for sale in sales_of_change(None, order("o3", "a"), many)]
    assert skus == ["a", *[f"s{number:02}" for number in range(MOST_EARLIER)]]


def test_the_window() -> None:
    """An order has weight eight in its week, one less in each later week, and none after eight."""
    popularity = Popularity([count(Counts("a", 0), Sale("a", WEEK, 1))])
    assert [popularity.score("a", WEEK + later) for later in range(10)] == [8, 7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert popularity.score("a", WEEK - 1) == 8, "a clock that is late"
    assert popularity.score("unknown", WEEK) == 0


def test_an_order_that_comes_late_or_too_late() -> None:
    """A late order counts in its own week. One from before the window does not count and is not subtracted."""
    now = count(Counts("a", 0), Sale("a", WEEK, 1))
    late = count(now, Sale("a", WEEK - 7, 1))
    assert late.weeks == (1, 0, 0, 0, 0, 0, 0, 1)
    assert count(late, Sale("a", WEEK - 8, 1)) == count(late, Sale("a", WEEK - 8, -1)) == late
    assert count(late, Sale("a", WEEK + 3, 1)).weeks == (1, 0, 0, 1, 0, 0, 0, 0)
    assert count(late, Sale("a", WEEK + 300, 1)).weeks == (1, *[0] * (WEEKS - 1))


def test_other_products_are_bounded_and_the_frequent_ones_stay() -> None:
    """At most `MOST_PARTNERS` other products are remembered, among them the one of every second order."""
    counts = Counts("a", 0)
    for number in range(500):
        sale = Sale("a", WEEK, 0, ("often",) if number % 2 else (f"once-{number}",))
        before, counts = counts, count(counts, sale)
        assert len(counts.also) <= MOST_PARTNERS
        assert count(before, sale, sale) == count(counts, sale), "a tally of two is two tallies"
    assert dict(counts.also)["often"] >= 250 - 500 // (MOST_PARTNERS + 1)
    assert counts.weeks == Counts("a", 0).weeks, "the sales were of other products"
    for _ in range(40):
        counts = count(counts, Sale("a", WEEK, 0, ("new",)))
    assert "new" in dict(counts.also), "products bought once make room"


def test_partitions_add_up() -> None:
    """Scores and other products are sums over partitions; newer counts of a partition replace older ones."""
    popularity = Popularity([counts_of("a", 1, 0, x=1), counts_of("a", 2, 1, x=2, y=1)])
    assert (popularity.score("a", WEEK), popularity.also_bought("a")) == (24, {"x": 3, "y": 1})
    popularity.put(counts_of("a", 5, 1))
    assert (popularity.score("a", WEEK), popularity.also_bought("a")) == (48, {"x": 1})
    popularity.remove("a", 0)
    popularity.remove("a", 1)
    popularity.remove("a", 1)
    assert (popularity.score("a", WEEK), popularity.also_bought("a"), len(popularity), [*popularity]) == (0, {}, 0, [])


def test_a_week_of_orders_of_one_customer_counts_as_many_orders() -> None:
    """Two orders of the same product count as two."""
    counts = Counts("a", 0)
    for number in range(2):
        (sale,) = sales_of_change(None, order(f"o{number}", "a", at=AT + timedelta(days=number)))
        counts = count(counts, sale)
    assert counts.weeks[0] == 2
