"""Sales counts from orders: with repeated, late and reordered events, each order counts once."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.events import (
    Event,
    OrderCancelled,
    OrderChanged,
    OrderEvent,
    OrderLine,
    OrderPlaced,
    OrderRefunded,
)
from streams.core.offers.popularity import Counts, Popularity, Tally, change_of, sales_of, week_of
from tests.harness.driver import START
from tests.harness.events import order, shipment, shop_ruleset
from tests.harness.examples import examples

RULESET = shop_ruleset()
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)
SKUS = ("s0", "s1", "s2", "s3")
numbers = st.integers(0, 5)
times = st.integers(0, 200).map(lambda hours: START + hours * HOUR)
baskets = st.lists(st.sampled_from(SKUS), max_size=4)


def order_event(make: type[OrderEvent], number: int, basket: list[str], at: object) -> Event:
    """Return an event of order `number`, which was placed in week `number`: the week of an order never changes."""
    lines = tuple([OrderLine(sku, sku, "c", 1, 100) for sku in basket])
    return make(order(f"o{number}", START + number * WEEK, lines=lines), at)  # type: ignore[arg-type]  # times draws datetimes


events = st.one_of(
    *[
        st.builds(order_event, st.just(make), numbers, baskets, times)
        for make in (OrderPlaced, OrderPlaced, OrderChanged)
    ],
    *[st.builds(order_event, st.just(make), numbers, baskets, times) for make in (OrderCancelled, OrderRefunded)],
    st.builds(lambda number, at: shipment(f"o{number}", "shipped", at), numbers, times),
)


def counts_of(story: list[Event]) -> tuple[dict[str, Counts], list[tuple[str, int]]]:
    """Return the counts after the story, and the expected ones: product and week of each order that counts."""
    state, counts = new_customer("c1"), {}
    for event in story:
        after, _ = advance(RULESET, state, event, START + 10 * WEEK)
        for changed in after.orders:
            change = change_of(state.order(changed.order_id), changed, after.orders)
            for sale in sales_of(change) if change is not None else ():
                tally = Tally(counts.get(sale.sku) or Counts(sale.sku, 0))
                tally.add(sale)
                counts[sale.sku] = tally.counts()
        state = after
    counting = [
        one for one in state.orders if one.placed and not one.cancelled_at and not one.refunded_at and one.facts
    ]
    bought = [
        (sku, week_of(one.facts.placed_at))
        for one in counting
        if one.facts
        for sku in {line.sku for line in one.facts.lines}
    ]
    return counts, bought


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(events, max_size=16), st.booleans())
def test_each_order_counts_once(story: list[Event], is_doubled: bool) -> None:
    """Orders that are neither cancelled nor refunded at the end are counted, with or without repetitions."""
    counts, bought = counts_of([event for event in story for _ in range(1 + is_doubled)])
    popularity, week = Popularity(counts.values()), week_of(START) + 5
    for sku in SKUS:
        assert popularity.score(sku, week) == sum(8 - (week - bought_in) for name, bought_in in bought if name == sku)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(events, max_size=16))
@example(
    # Two changes of the same time: delivered again, the first must not be applied again and counted as bought.
    [
        order_event(OrderChanged, 0, ["s0", "s1"], START),
        order_event(OrderChanged, 0, [], START),
        order_event(OrderPlaced, 0, [], START),
    ]
)
def test_pairs_are_counted_once(story: list[Event]) -> None:
    """Repeating the whole story adds no pair, and no product counts as bought with itself."""
    once, _ = counts_of(story)
    twice, _ = counts_of([*story, *story])
    assert {sku: one.also for sku, one in twice.items()} == {sku: one.also for sku, one in once.items()}
    assert not [sku for sku, one in once.items() if sku in dict(one.also)]
