"""Exits: events and goals that end a flow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.model.events import (
    Event,
    MailClicked,
    OrderChanged,
    OrderLine,
    OrderPaid,
    OrderPlaced,
    ProductBrowsed,
    Unsubscribed,
)
from streams.core.model.person_events import CustomerActed
from streams.core.rules.ruleset import Ruleset
from streams.core.sending.content import template_data
from tests.harness.driver import Driver
from tests.harness.events import order, shipment
from tests.harness.flow_texts import (
    DAY,
    answer_survey,
    buy,
    flow_text,
    open_email,
    ruleset_of,
    run_of,
)


def test_returned_parcel() -> None:
    """A returned parcel ends the instance of that parcel, or that of the order."""
    for trigger, parcels in (("shipment.shipped, once_per: parcel", ["p1"]), ("shipment.shipped", [])):
        run = run_of(
            f"trigger: {{on: {trigger}}}\nexit_on: [shipment.returned]\nsteps: [{{wait: 2d}}, {{send: {{message: a}}}}]"
        )
        buy(run)
        for parcel in ("p1", "p2"):
            run.handle(shipment("o1", "shipped", run.now, parcel, 2))
        run.advance(DAY)
        run.handle(shipment("o1", "returned", run.now, "p2", 2))
        run.advance(2 * DAY)
        assert [template_data(mail.content)["shipment"]["parcel_id"] for mail in run.mails()] == parcels


@pytest.mark.parametrize(("scope", "messages"), [("review", ["a", "c"]), ("survey", ["a", "b"]), ("marketing", [])])
def test_unsubscribe(scope: Any, messages: list[str]) -> None:
    """Unsubscribing from marketing ends every flow with `customer.unsubscribed`, from one purpose only its flows."""
    body = (
        "trigger: {on: order.placed, where: not customer.is_unsubscribed}\nexit_on: [customer.unsubscribed]\n"
        "steps: [{wait: 1d}, {send: {message: %s}}]"
    )
    answered_before = Driver(ruleset_of_purposes(body))
    answered_before.handle(Unsubscribed(customer_id="c1", send_id=None, scope=scope, occurred_at=answered_before.now))
    buy(answered_before)
    answered_meanwhile = Driver(ruleset_of_purposes(body))
    buy(answered_meanwhile)
    answered_meanwhile.handle(
        Unsubscribed(customer_id="c1", send_id=None, scope=scope, occurred_at=answered_meanwhile.now)
    )
    for run in (answered_before, answered_meanwhile):
        run.advance(2 * DAY)
        assert sorted(run.messages()) == messages


def ruleset_of_purposes(body: str) -> Ruleset:
    """The flow for three purposes. Its message is a for marketing, b for reviews and c for surveys."""
    purposes = {"a": "marketing", "b": "review", "c": "survey"}
    return ruleset_of(
        *[flow_text(body % message, name=purpose, purpose=purpose) for message, purpose in purposes.items()]
    )


@pytest.mark.parametrize(
    ("trigger", "exit_on", "earlier", "ending", "ends"),
    [
        ("order.placed", "shipment.delivered", None, "delivered", True),
        ("order.placed", "shipment.shipped", None, "shipped", True),
        ("order.placed", "shipment.tracked", None, "shipped", True),
        ("shipment.shipped", "shipment.delivered", "shipped", "delivered", True),
        ("shipment.delivered, which: first", "shipment.shipped", "delivered", "shipped", False),
        ("order.paid", "shipment.delivered", None, "delivered", False),
    ],
)
@pytest.mark.parametrize("comes_first", [False, True])
def test_events_at_the_same_instant(
    trigger: str, exit_on: str, earlier: Any, ending: Any, ends: bool, comes_first: bool
) -> None:
    """An event at the instant of the trigger ends a flow if it follows the trigger in the life of an order, whichever record arrives first."""
    run = run_of(f"trigger: {{on: {trigger}}}\nexit_on: [{exit_on}]\nsteps: [{{wait: 2d}}, {{send: {{message: a}}}}]")
    events: list[Event] = [OrderPlaced(order("o1", run.now), run.now)]
    if trigger == "order.paid":
        events.append(OrderPaid(order("o1", run.now), run.now))
    if earlier is not None:
        events.append(shipment("o1", earlier, run.now, "p1", 2))
    events.append(replace(shipment("o1", ending, run.now, "p2", 2), tracking_number="T1"))
    if comes_first and exit_on != "shipment.tracked":  # a flow waits before an event that the state does not keep
        events.reverse()
    run.handle(*events)
    run.advance(3 * DAY)
    assert run.messages() == ([] if ends else ["a"])


def test_goal() -> None:
    """A goal ends the flow at the next timer or event, or before its start."""
    body = """trigger: {on: product.viewed, once_per: product}
goal: product.is_bought
steps: [{wait: 2d}, {send: {message: a}}, {wait_for: {event: order.placed, up_to: 9d, then: [{send: {message: b}}]}}, {send: {message: c}}]"""
    run = run_of(body)
    for sku in ("s1", "s9"):
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku=sku, occurred_at=run.now))
    run.advance(DAY)
    buy(run)  # s1 and s2
    run.advance(2 * DAY)
    assert run.messages() == ["a"]
    buy(run, "o2", lines=(OrderLine("s9", "Pot", "pots", 1, 9_900),))
    run.advance(20 * DAY)
    assert run.messages() == ["a"]
    assert [decision for decision in run.decisions() if decision[1] == "exit"] == [("f", "exit", "goal")] * 2
    run = run_of("trigger: {on: order.placed}\ngoal: customer.orders > 1\nsteps: [{wait: 2d}, {send: {message: a}}]")
    buy(run)
    run.advance(3 * DAY)
    buy(run, "o2")
    run.advance(9 * DAY)
    assert (run.messages(), run.decisions()[-1]) == (["a"], ("f", "exit", "goal"))


#: Actions that end a flow which waits, by event of `exit_on`.
ACTIONS: dict[str, Callable[[Driver], None]] = {
    "shipment.delivered": lambda run: run.handle(shipment("o1", "delivered", run.now)),
    "shipment.out_for_delivery": lambda run: run.handle(shipment("o1", "out_for_delivery", run.now)),
    "shipment.tracked": lambda run: run.handle(replace(shipment("o1", "shipped", run.now), tracking_number="T1")),
    "survey.answered": lambda run: answer_survey(run, "yes"),
    "mail.opened": lambda run: open_email(run, run.mails()[0].send_id),
    "product.viewed": lambda run: run.handle(
        ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=run.now)
    ),
    "review.written": lambda run: run.handle(
        CustomerActed(customer_id="c1", kind="reviewed", stars=5, occurred_at=run.now)
    ),
    "order.changed": lambda run: run.handle(OrderChanged(order("o1", run.now - DAY), run.now)),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_any_event_ends_a_flow(name: str) -> None:
    """An event of `exit_on` ends a flow that waits, and only that event does."""
    for exits, messages in ((name, ["a"]), ("customer.unsubscribed", ["a", "b"])):
        run = run_of(
            f"trigger: {{on: order.placed}}\nexit_on: [{exits}]\nsteps: [{{send: {{message: a}}}}, {{wait: 2d}}, {{send: {{message: b}}}}]"
        )
        buy(run)
        run.advance(DAY)
        ACTIONS[name](run)
        run.advance(9 * DAY)
        assert run.messages() == messages
        assert (("f", "exit", name) in run.decisions()) == (exits == name)


@pytest.mark.parametrize("name", ["shipment.shipped", "shipment.delivered", "product.viewed", "survey.answered"])
def test_earlier_events_end_no_flow(name: str) -> None:
    """An event that occurred before the flow started does not end it."""
    actions = ACTIONS | {"shipment.shipped": lambda run: run.handle(shipment("o1", "shipped", run.now))}
    run = run_of(
        f"trigger: {{on: shipment.returned}}\nexit_on: [{name}]\nsteps: [{{wait: 2d}}, {{send: {{message: a}}}}]"
    )
    buy(run)
    actions[name](run)
    run.advance(DAY)
    run.handle(shipment("o1", "returned", run.now))
    run.advance(9 * DAY)
    assert run.messages() == ["a"]


def test_the_event_of_another_parcel_ends_no_flow() -> None:
    """A delivery ends the instances of its own parcel if the flow runs per parcel, else those of its order."""
    for once_per, parcels in (("parcel", ["p1"]), ("order", [])):
        run = run_of(
            f"trigger: {{on: shipment.shipped, once_per: {once_per}}}\nexit_on: [shipment.delivered]\n"
            "steps: [{wait: 2d}, {send: {message: a}}]"
        )
        buy(run)
        buy(run, "o2")
        for parcel in ("p1", "p2"):
            run.handle(shipment("o1", "shipped", run.now, parcel, 2))
        run.advance(DAY)
        run.handle(shipment("o2", "delivered", run.now, "p3"))
        run.handle(shipment("o1", "delivered", run.now, "p2", 2))
        run.advance(2 * DAY)
        assert [template_data(mail.content)["shipment"]["parcel_id"] for mail in run.mails()] == parcels


def test_a_click_of_the_last_seconds_ends_a_flow() -> None:
    """A click that is held while the wait ends still ends the flow."""
    run = run_of(
        "trigger: {on: order.placed}\nexit_on: [mail.clicked]\nsteps: [{send: {message: a}}, {wait: 2d}, {send: {message: b}}]"
    )
    buy(run)
    (mail,) = run.mails()
    run.advance(2 * DAY - timedelta(seconds=5))
    run.handle(MailClicked(customer_id="c1", send_id=mail.send_id, link="l", agent="human", occurred_at=run.now))
    run.advance(DAY)
    assert run.messages() == ["a"]
