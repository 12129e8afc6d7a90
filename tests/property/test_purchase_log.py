"""The log of purchases equals one that is counted again from the orders, whatever happens to them and in whatever order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.model.orders.order import OrderLine
from streams.core.model.orders.order_state import OrderFacts, OrderState
from streams.core.model.orders.purchase_log import EMPTY, PurchaseLog, log_of, merged, replaced, share_of
from streams.core.rules.purchase_use import LogBounds
from tests.harness.examples import examples

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ROOMY = LogBounds(100, 100, 100)
CATEGORIES = ("", "tea", "cups", "coffee")
lines = st.builds(
    OrderLine,
    sku=st.sampled_from(["s1", "s2"]),
    title=st.just("T"),
    category=st.sampled_from(CATEGORIES),
    quantity=st.integers(0, 3),
    unit_price_minor=st.integers(-500, 5_000),
)


@st.composite
def orders(draw: st.DrawFn, order_id: str = "o1") -> OrderState:
    """An order in any state."""
    total = draw(st.integers(0, 20_000))
    facts = OrderFacts(
        "", "", "da", "DK", "DK", "DKK", total, START + timedelta(hours=draw(st.integers(0, 5))), None,
        tuple(draw(st.lists(lines, max_size=3))),
    )  # fmt: skip
    return OrderState(
        order_id,
        draw(st.none() | st.just(facts)),
        placed=draw(st.booleans()),
        cancelled_at=draw(st.none() | st.just(START)),
        refunded_at=draw(st.none() | st.just(START)),
        refunded_minor=draw(st.integers(0, total)),
        converted_minor=total,
    )


shops = st.integers(1, 5).flatmap(lambda number: st.tuples(*[orders(f"o{each}") for each in range(number)]))


@settings(max_examples=examples(200), deadline=None)
@given(shops, st.lists(st.tuples(st.integers(0, 4), orders()), max_size=12))
def test_changes(before: tuple[OrderState, ...], changes: list[tuple[int, OrderState]]) -> None:
    """After each change of an order, the log is that of the orders as they are."""
    known = {each.order_id: each for each in before}
    log = log_of(known.values(), ROOMY)
    for number, change in changes:
        order_id = f"o{number}"
        after = replace(change, order_id=order_id)
        log = replaced(log, share_of(known.get(order_id)), share_of(after), ROOMY)
        known[order_id] = after
        assert log == log_of(known.values(), ROOMY)
    for each in known.values():
        log = replaced(log, share_of(each), None, ROOMY)
    assert log == EMPTY


@settings(max_examples=examples(100), deadline=None)
@given(shops, shops)
def test_merging(one: tuple[OrderState, ...], other: tuple[OrderState, ...]) -> None:
    """The sum of two logs is the log of all orders, in either order of the two."""
    first, second = log_of(one, ROOMY), log_of(other, ROOMY)
    assert merged(first, second, ROOMY) == merged(second, first, ROOMY) == log_of((*one, *other), ROOMY)


@settings(max_examples=examples(100), deadline=None)
@given(shops, st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_bounds(shop: tuple[OrderState, ...], purchases: int, categories: int, of_category: int) -> None:
    """The log keeps its bounds, and what it keeps are the newest purchases of the newest categories."""
    bounds = LogBounds(purchases, categories, of_category)
    log, whole = log_of(shop, bounds), log_of(shop, ROOMY)
    assert is_within(log, bounds)
    assert log.recent == whole.recent[-purchases:]
    assert is_within(merged(log, whole, bounds), bounds)
    for each in log.categories:
        known = whole.of(each.category)
        assert known is not None
        assert set(each.recent) <= set(known.recent)
        assert each.orders <= known.orders
    assert set(log.favourites()) <= {each.category for each in whole.categories}


def is_within(log: PurchaseLog, bounds: LogBounds) -> bool:
    """Whether a log keeps its bounds."""
    sizes = (len(log.recent), len(log.categories), max([len(each.recent) for each in log.categories], default=0))
    return all(size <= most for size, most in zip(sizes, bounds, strict=True))
