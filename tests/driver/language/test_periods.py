"""Periods, categories and thresholds: what a customer bought in the last days, and flows that start when it becomes enough."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streams.core.model.events import OrderCancelled, OrderChanged, OrderLine, OrderPlaced, OrderRefunded
from streams.core.rules.ruleset import Limits
from tests.harness.driver import START, Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, HOUR, buy, flow_text, ruleset_of, sent

SEND = "steps: [{send: {message: a}}]"
TEA, CUPS = OrderLine("s1", "Tea", "tea", 1, 10_000), OrderLine("s2", "Cup", "cups", 1, 30_000)


def when(condition: str, **settings: Any) -> Driver:
    """A driver with a flow that sends `a` at each order for which a condition holds."""
    return Driver(ruleset_of(flow_text(f"trigger: {{on: order.placed, where: '{condition}'}}\n{SEND}"), **settings))


def reached(threshold: str, more: str = "", **settings: Any) -> Driver:
    """A driver with a flow that starts when a threshold is reached."""
    trigger = f"trigger: {{on: customer.reached, threshold: '{threshold}'{more}}}\n{SEND}"
    return Driver(ruleset_of(flow_text(trigger, purpose="marketing"), **settings))


def test_orders_in_a_period() -> None:
    """Orders count until the period is over, to the second."""
    run = when("customer.orders_in(90d) >= 3")
    buy(run, "o1")
    run.advance(45 * DAY)
    buy(run, "o2")
    run.advance(45 * DAY - HOUR)
    buy(run, "o3")
    run.advance(2 * HOUR)
    buy(run, "o4")
    run.advance(44 * DAY)
    buy(run, "o5")
    assert len(sent(run)) == 3
    run.advance(80 * DAY)
    buy(run, "o6")
    assert len(sent(run)) == 3


@pytest.mark.parametrize(
    ("condition", "messages"),
    [
        ("customer.spend_in(1w) >= 400", ["a"]),
        ("customer.spend_in(1w) > 400", []),
        ('customer.spend_in(1w, "tea") == 100', ["a"]),
        ('customer.spend_in(1w, "cups") == 300', ["a"]),
        ('customer.orders_in(1w, "tea") == 1', ["a"]),
        ('customer.orders_in(1w, "coffee") == 0', ["a"]),
        ('customer.orders_of("cups") == 1', ["a"]),
        ('customer.top_category == "cups"', ["a"]),
    ],
)
def test_categories(condition: str, messages: list[str]) -> None:
    """A category has its share of an order."""
    run = when(condition)
    buy(run, lines=(TEA, CUPS), total_minor=40_000)
    assert run.messages() == messages


def test_spend_of_another_currency() -> None:
    """An amount in another currency is converted; one without a rate counts nothing, and is never added as it is."""
    run = when("customer.spend_in(1w) >= 700")
    buy(run, "o1", currency="XAU", total_minor=900_000)
    buy(run, "o2", currency="EUR", total_minor=10_000)
    assert run.messages() == ["a"]  # 746 kr.
    log = run.customers["c1"].purchase_log
    assert log is not None
    assert sum(each.minor for each in log.recent) == 74_600


def test_cancelled_and_refunded_orders() -> None:
    """A cancelled order is not in a period, and a refund reduces the spend, also of an order that is no longer stored."""
    run = when("customer.orders_in(1y) >= 1", limits=Limits(orders=2))
    orders = [order(f"o{number}", run.now + number * HOUR, total_minor=10_000) for number in range(5)]
    for number, each in enumerate(orders):
        run.handle(OrderPlaced(each, START + number * HOUR))
    run.handle(OrderCancelled(orders[0], run.now + DAY), OrderRefunded(orders[1], run.now + DAY))
    run.handle(OrderCancelled(orders[4], run.now + DAY), OrderCancelled(orders[4], run.now + 2 * DAY))
    log = run.customers["c1"].purchase_log
    assert log is not None
    assert [(each.orders, each.minor) for each in log.recent] == [(1, 0), (1, 10_000), (1, 10_000)]


def test_changed_order() -> None:
    """The newest description of an order counts: its total, its products and its time."""
    run = when('customer.orders_of("tea") >= 1')
    first = order("o1", run.now, lines=(TEA,), total_minor=10_000)
    changed = order("o1", run.now, lines=(CUPS,), total_minor=30_000)
    run.handle(OrderPlaced(first, run.now), OrderChanged(changed, run.now + HOUR))
    log = run.customers["c1"].purchase_log
    assert log is not None
    assert [(each.category, each.orders, each.recent[0].minor) for each in log.categories] == [("cups", 1, 30_000)]
    assert [(each.orders, each.minor) for each in log.recent] == [(1, 30_000)]


def test_threshold() -> None:
    """A flow starts when the threshold is reached, once; with `again_after` again after the customer fell below it."""
    for more, expected in (("", [1]), (", again_after: 5d", [1, 42])):
        run = reached("customer.orders_in(30d) >= 2", more)
        buy(run, "o1")
        run.advance(DAY)
        buy(run, "o2")
        buy(run, "o3")
        run.advance(40 * DAY)
        assert run.customers["c1"].segments == ()
        buy(run, "o4")
        run.advance(DAY)
        buy(run, "o5")
        run.advance(DAY)
        assert [round(day) for _, day in sent(run)] == expected


def test_threshold_of_spend() -> None:
    """The order that crosses an amount starts the flow, and a refund before it does not."""
    run = reached("customer.spend_in(1y) > 1000")
    buy(run, "o1", total_minor=60_000)
    run.handle(OrderRefunded(order("o1", START, total_minor=60_000), run.now))
    buy(run, "o2", total_minor=60_000)
    assert run.messages() == []
    buy(run, "o3", total_minor=60_000)
    assert run.messages() == ["a"]


def test_threshold_by_time() -> None:
    """A threshold can be reached because time passes: nothing was bought for a while."""
    run = reached("customer.orders > 0 and customer.orders_in(10d) == 0")
    buy(run)
    run.advance(9 * DAY)
    assert run.messages() == []
    run.advance(2 * DAY)
    assert [round(day) for _, day in sent(run)] == [10]
    assert run.customers["c1"].instances == ()


def test_two_flows_with_thresholds() -> None:
    """Each flow has its own threshold, and a segment of the same customer is not affected."""
    flows = [
        flow_text(f"trigger: {{on: customer.reached, threshold: customer.orders_in(9d) >= {number}}}\nsteps: [{{send: {{message: {message}}}}}]",
                  name=name, purpose="marketing")
        for number, message, name in ((1, "a", "f"), (2, "b", "g"))
    ]  # fmt: skip
    flows.append(flow_text(f"trigger: {{on: segment.entered, segment: many}}\n{SEND}", name="h", purpose="marketing"))
    run = Driver(ruleset_of(*flows, segments="many: customer.orders_in(9d) > 2"))
    for number in range(3):
        buy(run, f"o{number}")
        run.advance(HOUR)
    assert run.messages() == ["a", "b", "a"]
    assert run.customers["c1"].segments == ("f@threshold", "g@threshold", "many")


def test_log_begins_with_the_stored_orders() -> None:
    """A flow that is added later counts the orders that are stored; without such a flow nothing is logged."""
    before = Driver(ruleset_of(flow_text(f"trigger: {{on: order.placed}}\n{SEND}")))
    buy(before, "o1")
    buy(before, "o2")
    assert before.customers["c1"].purchase_log is None
    run = when("customer.orders_in(90d) >= 3")
    run.customers = before.customers
    buy(run, "o3")
    assert run.messages() == ["a"]
    log = run.customers["c1"].purchase_log
    assert log is not None
    assert sum(each.orders for each in log.recent) == 3


def test_day_scale() -> None:
    """With shorter days, periods are shorter too."""
    run = when("customer.orders_in(30d) == 1", day_scale=1 / 86_400)
    buy(run, "o1")
    run.advance(timedelta(seconds=31))
    buy(run, "o2")
    run.advance(timedelta(seconds=20))
    buy(run, "o3")
    assert len(run.messages()) == 2
