"""Waits for what a customer does in the shop besides buying, on the driver and in `takk simulate`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from streams.core.model.events import Event, OrderPlaced, ProductBrowsed
from streams.core.model.orders.order import OrderLine
from streams.core.model.person_events import CustomerActed
from streams.core.rules.trigger_names import ACTIVITIES
from streams.tools.operations.customer_story import waiting_text
from streams.tools.operations.rule_texts import RULES
from streams.tools.simulation.history import History
from streams.tools.simulation.outcome import simulate
from tests.harness.driver import START
from tests.harness.events import order
from tests.harness.flow_texts import DAY, HOUR, buy, flow_text, ruleset_of, run_of

KINDS: Mapping[str, Mapping[str, Any]] = {
    "product.wished": {"kind": "wished", "sku": "s1"},
    "product.liked": {"kind": "liked", "sku": "s1"},
    "review.written": {"kind": "reviewed", "sku": "s1", "stars": 5},
    "referral.redeemed": {"kind": "referral_redeemed", "order_id": "friends-order"},
    "contest.entered": {"kind": "contest_entered", "contest": "easter"},
}
WAIT = """trigger: {on: order.placed%s}
steps:
  - wait_for: {event: %s, up_to: 9d%s, then: [{send: {message: a}}], otherwise: [{send: {message: b}}]}
"""
TWO_LINES = (OrderLine("s1", "Tea", "tea", 1, 10_000), OrderLine("s2", "Cup", "cups", 1, 10_000))


def activity(name: str, at: datetime, **changes: Any) -> Event:
    """The activity of c1."""
    if name in ("product.viewed", "product.added_to_cart"):
        values = {"kind": name.removeprefix("product."), "sku": "s1"} | changes
        return ProductBrowsed(customer_id="c1", occurred_at=at, **values)
    return CustomerActed(**{"customer_id": "c1", "event_id": f"e{at}", "occurred_at": at, **KINDS[name], **changes})


@pytest.mark.parametrize("name", ACTIVITIES)
def test_it_resumes_the_flow(name: str) -> None:
    """The flow continues at the activity, also if no other flow knows it. One from before the start does not count."""
    for hours, messages in ((25, ["a"]), (-1, ["b"])):
        run = run_of(WAIT % ("", name, ""))
        buy(run)
        (instance,) = run.customers["c1"].instances
        assert name in waiting_text(instance)
        run.advance(2 * DAY)
        run.handle(activity(name, START + hours * HOUR))
        run.advance(9 * DAY)
        assert run.messages() == messages
    assert RULES[name]


@pytest.mark.parametrize("name", ACTIVITIES)
def test_a_repeated_report(name: str) -> None:
    """An activity that is reported again resumes no second wait, not even one that began after the first report."""
    body = "trigger: {on: order.placed}\nsteps:\n  - wait: 1d\n" + WAIT.partition("steps:\n")[2] % (name, "")
    run = run_of(body)
    buy(run)
    run.handle(activity(name, START + HOUR))
    run.advance(2 * DAY)
    run.handle(activity(name, START + HOUR))
    assert run.messages() == []
    run.handle(activity(name, START + 2 * DAY))
    assert run.messages() == ["a"]


@pytest.mark.parametrize(
    ("name", "where", "rejected"),
    [("review.written", "event.stars >= 4", {"stars": 3}), ("contest.entered", "event.contest == 'easter'", {"contest": "may"})],
)  # fmt: skip
def test_where(name: str, where: str, rejected: Mapping[str, Any]) -> None:
    """`where` knows the data of the awaited activity."""
    run = run_of(WAIT % ("", name, f', where: "{where}"'))
    buy(run)
    run.handle(activity(name, START + HOUR, **rejected))
    assert run.messages() == []
    run.handle(activity(name, START + 2 * HOUR))
    assert run.messages() == ["a"]


@pytest.mark.parametrize("name", ["product.viewed", "review.written"])
def test_the_product_of_the_flow(name: str) -> None:
    """In a flow per product, an activity counts for its product."""
    run = run_of(WAIT % (", once_per: product", name, ", where: product.sku == 's2'"))
    buy(run, lines=TWO_LINES)
    run.handle(activity(name, START + HOUR, sku="s1"))
    assert run.messages() == []
    run.handle(activity(name, START + 2 * HOUR, sku="s2"))
    assert run.messages() == ["a"]


def test_the_flow_keeps_its_product() -> None:
    """A flow that a view started is about that product still, after a referral or a view of another product."""
    run = run_of(
        "trigger: {on: product.viewed, once_per: product}\nsteps:\n"
        "  - wait_for: {event: referral.redeemed, up_to: 9d}\n"
        "  - wait_for: {event: product.liked, up_to: 9d}\n"
        "  - split: [{when: product.sku == 's1', steps: [{send: {message: a}}]}]\n"
    )
    buy(run)
    run.handle(activity("product.viewed", START + HOUR))
    run.handle(activity("referral.redeemed", START + 2 * HOUR, sku="s9"))
    run.handle(activity("product.liked", START + 3 * HOUR, sku="s9"))
    assert run.messages() == []
    run.handle(activity("product.liked", START + 4 * HOUR))
    assert run.messages() == ["a"]


@pytest.mark.parametrize("name", ACTIVITIES)
def test_simulated(name: str) -> None:
    """`takk simulate` resumes the flow at the activity."""
    events: list[Event] = [OrderPlaced(order("o1", START), START), activity(name, START + DAY)]
    history = History([(event.occurred_at, event) for event in events])
    assert simulate(ruleset_of(flow_text(WAIT % ("", name, ""))), history, 5).by_flow == {"f/a": 1}
