"""Triggers: which events start a flow, and how often."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streams.core.model.clicks import HOLD
from streams.core.model.effects import LogDecision
from streams.core.model.events import (
    MailClicked,
    MailOpened,
    OrderCancelled,
    OrderChanged,
    OrderLine,
    OrderPaid,
    OrderRefunded,
    ProductBrowsed,
)
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment
from tests.harness.flow_texts import (
    DAY,
    HOUR,
    answer_survey,
    buy,
    flow_text,
    ruleset_of,
    run_of,
    sent,
    update_profile,
)

SEND = "steps: [{send: {message: a}}]"


@pytest.mark.parametrize(
    ("on", "kind"),
    [("order.changed", OrderChanged), ("order.cancelled", OrderCancelled), ("order.refunded", OrderRefunded)],
)
def test_order_events(on: str, kind: type) -> None:
    """A changed, cancelled or refunded order starts a flow once, even if the event repeats."""
    run = run_of(f"trigger: {{on: {on}}}\n{SEND}")
    buy(run)
    assert sent(run) == []
    run.advance(DAY)
    for hours in (1, 2):
        run.handle(kind(order("o1", START, total_minor=100 * hours), START + DAY + hours * HOUR))
    assert sent(run) == [("a", 1)]


@pytest.mark.parametrize(
    ("trigger", "mails"),
    [
        ("{on: shipment.delayed, once_per: order}", 1),
        ("{on: shipment.delayed, once_per: order, which: last}", 1),
        ("{on: shipment.delayed, once_per: parcel}", 2),
        ("{on: shipment.delayed, once_per: customer}", 1),
        ("{on: shipment.delayed, once_per: product}", 2),
    ],
)
def test_parcels(trigger: str, mails: int) -> None:
    """A flow starts with the first, the last or each parcel, per product or per customer. Repeated events start nothing."""
    run = run_of(f"trigger: {trigger}\n{SEND}")
    buy(run)
    for parcel in ("p1", "p2", "p1"):
        run.handle(shipment("o1", "delayed", run.now, parcel, 2))
        if "last" in trigger and parcel == "p1":
            assert len(run.mails()) in (0, 1)
    assert len(run.mails()) == mails


def test_last_parcel() -> None:
    """With `which: last` a flow starts when all parcels of the order have reached the status."""
    run = run_of(f"trigger: {{on: shipment.shipped, which: last}}\n{SEND}")
    buy(run)
    run.handle(shipment("o1", "shipped", run.now, "p1", 2))
    assert run.mails() == []
    run.handle(shipment("o1", "shipped", run.now, "p2", 2))
    assert len(run.mails()) == 1


def test_again_after() -> None:
    """A flow starts once per customer, or again after `again_after`."""
    once = run_of(f"trigger: {{on: order.placed, once_per: customer}}\n{SEND}")
    again = run_of(f"trigger: {{on: order.placed, once_per: customer, again_after: 90d}}\n{SEND}")
    for run in (once, again):
        for number, days in enumerate((0, 50, 50, 20)):
            run.advance(days * DAY)
            buy(run, f"o{number}")
    assert sent(once) == [("a", 0)]
    assert sent(again) == [("a", 0), ("a", 100)]


def test_where_does_not_count_as_a_start() -> None:
    """An event that fails `where` is not a start: the next event can start the flow."""
    for more in ("", ", again_after: 90d"):
        answer = run_of(f"trigger: {{on: survey.answered, where: event.question == 'happy'{more}}}\n{SEND}")
        update_profile(answer, email="anna@example.com")
        for question in ("size", "happy", "happy", "size"):
            answer.advance(HOUR)
            answer_survey(answer, "no", question=question)
        assert sent(answer) == [("a", round(2 / 24, 3))]
        large = run_of(f"trigger: {{on: order.placed, once_per: customer, where: order.total > 600{more}}}\n{SEND}")
        for number, total in enumerate((50_000, 90_000, 90_000, 50_000)):
            buy(large, f"o{number}", total_minor=total)
        assert len(large.mails()) == 1
        assert [rule for _, outcome, rule in large.decisions() if outcome == "skip"] == ["where"]


def test_once_per_customer_with_many_orders() -> None:
    """A flow starts once per customer even if more instances end than are remembered."""
    often = [
        flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: b}}]", name=f"f{number}")
        for number in range(9)
    ]
    once = flow_text(f"trigger: {{on: order.placed, once_per: customer}}\n{SEND}", name="welcome")
    product = flow_text("trigger: {on: order.placed, once_per: product}\nsteps: [{send: {message: c}}]", name="product")
    run = Driver(ruleset_of(*often, once, product))
    for number in range(40):
        buy(run, f"o{number}")
        run.advance(DAY)
    assert [run.messages().count(message) for message in ("a", "b", "c")] == [1, 9 * 40, 2]


def test_once_per_product() -> None:
    """A flow starts once for each product of an order."""
    run = run_of("trigger: {on: order.placed, once_per: product, where: product.category == 'cups'}\n" + SEND)
    buy(run)
    buy(run, "o2")
    assert len(run.mails()) == 1


def test_products_that_are_used_up() -> None:
    """`product.lasts_days` is what the line of the order says, and 0 without it."""
    run = run_of("trigger: {on: order.placed, once_per: product, where: product.lasts_days > 40}\n" + SEND)
    lines = [OrderLine(f"s{days}", "Tea", "tea", 1, 100, days) for days in (40, 45, None)]
    buy(run, lines=tuple(lines))
    assert len(run.mails()) == 1


def test_completed_profile() -> None:
    """`profile.completed` starts a flow once, when the last part of the profile is known."""
    run = run_of(f"trigger: {{on: profile.completed}}\n{SEND}")
    update_profile(run, email="anna@example.com", name="Anna")
    update_profile(run, country="DK")
    assert run.mails() == []
    update_profile(run, birthday=START.date())
    update_profile(run, name="Anna Holm")
    assert len(run.mails()) == 1


def test_order_completes_a_profile() -> None:
    """An order that brings the last missing parts of a profile completes it."""
    run = run_of(f"trigger: {{on: profile.completed}}\n{SEND}")
    update_profile(run, birthday=START.date())
    buy(run)
    buy(run, "o2")
    assert run.messages() == ["a"]


def test_viewed_and_not_bought() -> None:
    """A product view starts a flow once per product; a purchase since then is known to `product.is_bought`."""
    run = run_of(
        "trigger: {on: product.viewed, again_after: 30d}\n"
        "steps:\n  - wait: 1d\n  - split: [{when: not product.is_bought, steps: [{send: {message: a}}]}]"
    )
    update_profile(run, email="anna@example.com")
    for _ in range(2):
        for sku in ("s1", "s9"):
            run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku=sku, occurred_at=run.now))
        run.advance(timedelta(hours=5))
        buy(run, f"o{run.now:%d%H}")  # of s1 and s2
    run.advance(3 * DAY)
    assert [mail.instance_id for mail in run.mails()] == [run.mails()[0].instance_id]
    run.advance(40 * DAY)
    run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s9", occurred_at=run.now))
    run.advance(60 * DAY)
    assert len(run.mails()) == 2


def test_decision_per_rejected_order() -> None:
    """Two orders at the same time that fail `where` are two decisions with their own ids."""
    run = run_of(f"trigger: {{on: order.placed, once_per: product, where: order.total > 900}}\n{SEND}")
    tea = (OrderLine("s1", "Tea", "tea", 1, 100_00),)
    buy(run, "o1", lines=tea)
    buy(run, "o2", lines=tea)
    refused = [effect for effect in run.effects if isinstance(effect, LogDecision) and effect.rule == "where"]
    assert [one.order_id for one in refused] == ["o1", "o2"]
    assert len({one.decision_id for one in refused}) == 2


def test_long_titles() -> None:
    """The order that starts a flow does not count as a purchase since then, even if its lines are cut."""
    run = run_of(
        "trigger: {on: order.placed, once_per: product}\ngoal: product.is_bought\nsteps: [{wait: 1d}, {send: {message: a}}]"
    )
    buy(run, lines=(OrderLine("s1", "Tea " * 50, "tea", 1, 100),))
    run.advance(DAY)
    assert run.messages() == ["a"]


def test_survey_answer() -> None:
    """A survey answer starts a flow, and conditions can use it after a wait."""
    run = run_of(
        "trigger: {on: survey.answered, where: event.question == 'happy'}\n"
        "steps:\n  - wait: 1d\n  - split:\n      - when: event.answer == 'no'\n        steps: [{send: {message: a}}]\n"
        "      - otherwise: [{send: {message: b}}]"
    )
    update_profile(run, email="anna@example.com")
    answer_survey(run, "no")
    answer_survey(run, "yes", question="other")
    run.advance(2 * DAY)
    assert run.messages() == ["a"]


@pytest.mark.parametrize("status", ["shipped", "out_for_delivery", "delayed"])
def test_late_parcel_events(status: Any) -> None:
    """An event that arrives after the delivery of its parcel starts nothing."""
    run = run_of(f"trigger: {{on: shipment.{status}, once_per: parcel}}\n{SEND}")
    buy(run)
    run.handle(shipment("o1", "delivered", START + DAY), shipment("o1", status, START))
    assert run.decisions() == [("f", "skip", "already_delivered")]
    run.handle(shipment("o1", status, START, "p2"))
    assert len(run.mails()) == 1


def test_clicks() -> None:
    """A click of a person on an email of Takk starts a flow. A click of a scanner does not."""
    run = Driver(
        ruleset_of(
            flow_text(f"trigger: {{on: order.placed}}\n{SEND}", name="first"),
            flow_text(
                "trigger: {on: mail.clicked, where: event.flow == 'first'}\nsteps: [{send: {message: b}}]",
                name="second",
            ),
        )
    )
    buy(run)
    send_id = run.mails()[0].send_id
    for agent in ("scanner", "human", "human"):
        run.advance(timedelta(minutes=1))
        run.handle(
            MailClicked(customer_id="c1", send_id=send_id, link="https://x.example", agent=agent, occurred_at=run.now)
        )
        run.advance(HOLD)
        assert len(run.mails()) == (1 if agent == "scanner" else 2)


@pytest.mark.parametrize(("agent", "days"), [("human", 1), ("privacy_proxy", 100_000), ("scanner", 100_000)])
def test_opens_of_machines(agent: Any, days: int) -> None:
    """`customer.days_since_open` counts only opens of people."""
    run = run_of(
        "trigger: {on: order.placed, once_per: customer}\n"
        "steps:\n  - send: {message: a}\n  - wait: 1d\n"
        f"  - split: [{{when: customer.days_since_open == {days}, steps: [{{send: {{message: b}}}}]}}]\n"
    )
    buy(run)
    send_id = run.mails()[0].send_id
    run.handle(MailOpened(customer_id="c1", send_id=send_id, agent=agent, occurred_at=run.now))
    run.advance(DAY)
    assert run.messages() == ["a", "b"]


def test_payment() -> None:
    """A payment starts a flow once, ends another and continues a third."""
    flows = [
        flow_text(f"trigger: {{on: order.paid}}\n{SEND}", name="thanks"),
        flow_text(
            "trigger: {on: order.placed}\nexit_on: [order.paid]\nsteps: [{wait: 2d}, {send: {message: b}}]",
            name="remind",
        ),
        flow_text(
            "trigger: {on: order.placed}\nsteps: [{wait_for: {event: order.paid, up_to: 9d, where: order.is_paid, then: [{send: {message: c}}]}}]",
            name="await",
        ),
    ]
    run = Driver(ruleset_of(*flows))
    buy(run, "o1")
    buy(run, "o2")
    run.advance(DAY)
    for _ in range(2):
        run.handle(OrderPaid(order("o1", START), START + DAY))
    run.advance(9 * DAY)
    assert sent(run) == [("c", 1), ("a", 1), ("b", 2)]


def test_payment_before_its_order() -> None:
    """Events that arrive before their order apply once the order arrives."""
    flows = [
        flow_text(f"trigger: {{on: order.paid}}\n{SEND}", name="thanks"),
        flow_text(
            "trigger: {on: order.placed}\nsteps: [{wait_for: {event: order.paid, up_to: 2d, otherwise: [{send: {message: b}}]}}]",
            name="remind",
        ),
        flow_text(
            "trigger: {on: order.placed}\nsteps: [{wait_for: {event: shipment.shipped, up_to: 2d, then: [{send: {message: c}}]}}]",
            name="await",
        ),
    ]
    run = Driver(ruleset_of(*flows))
    run.handle(OrderPaid(order("o1", START), START), shipment("o1", "shipped", START))
    buy(run)
    run.advance(9 * DAY)
    assert run.messages() == ["a", "c"]


def test_discounts() -> None:
    """Conditions know the discount of the order, and whether all orders that were not cancelled had one."""
    split = "steps: [{split: [{when: %s, steps: [{send: {message: a}}]}, {otherwise: [{send: {message: b}}]}]}]"
    for condition, messages in (
        ("order.discount >= 50 and order.is_discounted", ["a", "b", "b"]),
        ("customer.is_discount_only", ["a", "b", "a"]),
    ):
        run = run_of("trigger: {on: order.placed}\n" + split % condition)
        buy(run, "o1", discount_minor=5_000)
        buy(run, "o2")
        run.handle(OrderCancelled(order("o2", START), run.now))
        buy(run, "o3", discount_minor=100)
        assert run.messages() == messages
