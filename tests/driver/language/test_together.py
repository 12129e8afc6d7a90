"""Emails that are sent together: one email for several products of an order, or for several instances of a flow."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streams.core.model.effects import LogDecision
from streams.core.model.events import MailClicked, OrderCancelled, OrderPlaced
from streams.core.model.orders.order import OrderLine
from streams.core.sending.content import template_data
from streams.testing import Scenario
from streams.tools.operations.rule_texts import RULES
from streams.tools.simulation.history import History
from streams.tools.simulation.outcome import simulate
from tests.harness.driver import START, Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, HOUR, buy, flow_text, ruleset_of, run_of, sent, unsubscribe

REFILL = """trigger: {on: order.placed, once_per: product}
steps:
  - wait: %s
  - send: {message: a, together: true}
  - wait: 2d
  - send: {message: b, together: true, expires: 9d}
"""
#: Three products, of which one lasts some hours longer than the first, and one a day longer.
LINES = (
    OrderLine("s1", "Green", "tea", 1, 100_00, 30),
    OrderLine("s2", "Black", "tea", 2, 200_00, 30),
    OrderLine("s3", "White", "tea", 1, 300_00, 31),
)


def products(run: Driver) -> list[list[str]]:
    """The SKUs in each email."""
    return [[each["sku"] for each in template_data(mail.content)["products"]] for mail in run.mails()]


def joined(run: Driver) -> list[LogDecision]:
    """The decisions about emails that joined another one."""
    return [effect for effect in run.effects if isinstance(effect, LogDecision) and effect.rule == "joined"]


@pytest.mark.parametrize("wait", ["1d", "{until: product.runs_out, lasts: 30d, before: 1d}"])
def test_products_of_one_order(wait: str) -> None:
    """Products of one order that are due on the same day are one email; the products that joined say so, and go on with it."""
    run = run_of(REFILL % wait, purpose="marketing")
    buy(run, lines=LINES)
    run.advance(70 * DAY)
    if wait == "1d":
        assert sent(run) == [("a", 1), ("b", 3)]
        assert [sorted(each) for each in products(run)] == [["s1", "s2", "s3"]] * 2
        assert len(joined(run)) == 4
    else:
        # Two pieces of s2 last twice as long.
        assert [sorted(each) for each in products(run)] == [["s1"], ["s3"], ["s1"], ["s3"], ["s2"], ["s2"]]
    assert len({mail.send_id for mail in run.mails()}) == len(run.mails())
    assert run.customers["c1"].instances == ()


def test_due_later_on_the_same_day() -> None:
    """A product that is due later on the customer's day joins; one of the next day does not."""
    run = run_of(REFILL % "1d", purpose="marketing")
    buy(run, "o1", lines=LINES[:1])  # at 10:00 in Copenhagen
    run.advance(13 * HOUR)
    buy(run, "o2", lines=LINES[1:2])
    run.advance(2 * HOUR)
    buy(run, "o3", lines=LINES[2:])
    run.advance(9 * DAY)
    assert products(run) == [["s1", "s2"], ["s3"], ["s1", "s2"], ["s3"]]
    assert [decision.detail.split()[-1] for decision in joined(run)] == [run.mails()[0].send_id, run.mails()[2].send_id]
    (one, two) = template_data(run.mails()[0].content)["products"]
    assert (one["title"], one["price"], two["quantity"]) == ("Green", {"minor": 100_00, "currency": "DKK"}, 2)
    assert template_data(run.mails()[0].content)["product"]["sku"] == "s1"


@pytest.mark.parametrize(
    "steps",
    [
        "[{send: {message: a, together: true}}]",
        "[{set: {name: x, value: y}}, {send: {message: a, together: true}}]",
        "[{wait: 1d}, {split: [{when: order.total > 1, steps: [{send: {message: a, together: true}}]}]}]",
    ],
)
def test_without_a_wait_before_it(steps: str) -> None:
    """Products that one event leads to the email are one email too: it waits a minute for all of them."""
    run = run_of(f"trigger: {{on: order.placed, once_per: product}}\nsteps: {steps}")
    buy(run, lines=LINES)
    run.advance(3 * DAY)
    assert [sorted(each) for each in products(run)] == [["s1", "s2", "s3"]]
    assert run.customers["c1"].instances == ()


def test_caps_count_it_once() -> None:
    """The email takes one place under a cap, and emails that a cap defers are joined when it has a place again."""
    run = run_of(REFILL % "1d", purpose="marketing", rules="caps: [{most: 1, per: 5d}]")
    buy(run, lines=LINES)
    run.advance(30 * DAY)
    assert sent(run) == [("a", 1), ("b", 6)]
    assert [len(each) for each in products(run)] == [3, 3]


def test_orders() -> None:
    """A flow that runs per order joins the orders of a day, and lists the products of both."""
    body = "trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a, together: true}}]"
    run = run_of("exit_on: [order.cancelled]\n" + body, purpose="marketing")
    buy(run, "o1", lines=LINES[:2])
    run.advance(3 * HOUR)
    buy(run, "o2", lines=LINES[1:])
    run.advance(2 * HOUR)
    buy(run, "o3", lines=LINES[:1])
    run.handle(OrderCancelled(order("o3", run.now), run.now))
    run.advance(9 * DAY)
    (mail,) = run.mails()
    found = {each["sku"]: each["quantity"] for each in template_data(mail.content)["products"]}
    assert found == {"s1": 1, "s2": 4, "s3": 1}


def test_transactional_emails_of_different_orders_do_not_join() -> None:
    """A transactional email joins one of its own order only."""
    body = "trigger: {on: order.placed, once_per: product}\nsteps: [{wait: 1d}, {send: {message: a, together: true}}]"
    run = run_of(body)
    buy(run, "o1", lines=LINES[:2])
    buy(run, "o2", lines=LINES[2:])
    run.advance(3 * DAY)
    assert [(mail.order_id, len(skus)) for mail, skus in zip(run.mails(), products(run), strict=True)] in (
        [("o1", 2), ("o2", 1)],
        [("o2", 1), ("o1", 2)],
    )


def test_who_leaves_or_refuses_does_not_join() -> None:
    """An instance whose exit has occurred ends and does not join; without consent no email is sent for any of them."""
    run = run_of("exit_on: [order.cancelled]\n" + REFILL % "1d", purpose="marketing")
    buy(run, "o1", lines=LINES[:1])
    buy(run, "o2", lines=LINES[1:])
    run.handle(OrderCancelled(order("o2", run.now), run.now))
    run.advance(1.5 * DAY)
    assert products(run) == [["s1"]]
    unsubscribe(run)
    run.advance(9 * DAY)
    assert products(run) == [["s1"]]
    assert ("f", "skip", "unsubscribed") in run.decisions()


def test_a_click_is_about_all_of_them() -> None:
    """A click on the email continues every instance that it was for."""
    steps = "[{wait: 1d}, {send: {message: a, together: true}}, {wait_for: {event: mail.clicked, up_to: 5d, then: [{emit: x}]}}]"
    run = run_of(f"trigger: {{on: order.placed, once_per: product}}\nsteps: {steps}")
    buy(run, lines=LINES)
    run.advance(1.5 * DAY)
    assert len(run.customers["c1"].instances) == 3
    (mail,) = run.mails()
    run.handle(MailClicked(customer_id="c1", send_id=mail.send_id, link="x", agent="human", occurred_at=run.now))
    run.advance(timedelta(minutes=5))
    assert not run.customers["c1"].instances


def test_a_draft() -> None:
    """A draft logs one email that it would have sent, and those that would have joined it."""
    run = Driver(ruleset_of(flow_text(REFILL % "1d", status="draft", purpose="marketing")))
    buy(run, lines=LINES)
    run.advance(2 * DAY)
    details = [effect.detail for effect in run.effects if isinstance(effect, LogDecision)]
    assert [detail.split(" the ")[0] for detail in details] == ["would have joined"] * 2 + ["would have sent a"] or [
        detail.split(" the ")[0] for detail in details
    ] == ["would have sent a"] + ["would have joined"] * 2


@pytest.mark.parametrize("day", [DAY, timedelta(minutes=10)])
def test_scaled_days(day: timedelta) -> None:
    """In the demo a day is short; emails that are due within one are sent together."""
    run = run_of(REFILL % "1d", purpose="marketing", day_scale=day / DAY)
    buy(run, lines=LINES)
    run.advance(30 * day)
    assert [len(each) for each in products(run)] == [3, 3]


def test_simulated_and_explained() -> None:
    """`takk simulate` counts one email, and those that joined it; `takk why` has a sentence for them."""
    ruleset = ruleset_of(flow_text(REFILL % "1d", purpose="marketing"))
    found = simulate(ruleset, History([(START, OrderPlaced(order("o1", START, lines=LINES), START))]), 2)
    assert (found.by_flow, found.not_sent) == ({"f/a": 1}, {"f skip joined": 2})
    shop = Scenario(ruleset)
    shop.order("anna", total="600 DKK", lines=LINES)
    shop.after(days=2)
    assert shop.why("anna").count(("f", "skip", "joined")) == 2
    assert RULES["joined"]


def test_they_do_not_compete_for_the_places_of_a_cap() -> None:
    """Emails that join take one place under a cap: none of them waits behind the others, and another email gets the second place at once."""
    other = flow_text(
        "trigger: {on: order.placed}\nsteps: [{wait: 1d}, {send: {message: c, priority: 40}}]",
        name="g",
        purpose="marketing",
    )
    ruleset = ruleset_of(flow_text(REFILL % "1d", purpose="marketing"), other, rules="caps: [{most: 2, per: 1d}]")
    run = Driver(ruleset)
    buy(run, lines=LINES)
    run.advance(1.5 * DAY)
    assert sorted(run.messages()) == ["a", "c"]
    assert [decision for decision in run.decisions() if decision[1] == "defer"] == []
