"""`takk why` and `takk flows explain` about changes of the catalogue, campaigns, backfills and emails that are sent together."""

from __future__ import annotations

import pytest

from streams.core.model.effects import LogDecision, ScheduleTimer
from streams.core.model.events import Event, OrderLine, OrderPlaced, SurveyAnswered
from streams.core.model.person_events import CustomerActed
from streams.core.model.product_events import ProductChanged
from streams.core.offers.product_changes import ProductVersion
from streams.core.triggers.walk_plans import walk_plans
from streams.definitions.views.words import trigger_text
from streams.tools.operations.explanation import FlowExplanation, explain
from streams.tools.operations.timeline_text import format_timeline
from streams.tools.simulation.simulator import timer_fired
from tests.harness.driver import START, Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, buy, flow_text, ruleset_of, unsubscribe, update_profile
from tests.harness.timelines import timeline_of

SEND = "steps: [{send: {message: a}}]"
SEGMENTS = "buyers: customer.orders > 0"
CAMPAIGN = "trigger: {on: date, at: 2026-03-05 10:00, segment: buyers}\n"
BACKFILL = "trigger: {on: segment.entered, segment: buyers, backfill: true}\n"
LINES = (OrderLine("s1", "Green", "tea", 1, 100_00), OrderLine("s2", "Black", "tea", 1, 100_00))


def run_on(*flows: str) -> Driver:
    """A driver with these flows of marketing, and the customer c1 who agreed to it."""
    run = Driver(ruleset_of(*flows, segments=SEGMENTS))
    update_profile(run, email="anna@example.com", country="DK", marketing_consent=True)
    return run


def marketing(body: str, name: str = "f") -> str:
    """A flow of marketing."""
    return flow_text(body, name, purpose="marketing")


def explained(run: Driver, event: Event, flow: str = "f") -> FlowExplanation:
    """The explanation of a flow at an event of c1, now."""
    (found,) = [each for each in explain(run.ruleset, run.customers["c1"], event, run.now).flows if each.flow == flow]
    return found


def why(run: Driver) -> str:
    """The lines that `takk why` prints about c1."""
    return "\n".join(format_timeline(timeline_of(run)))


def wish(run: Driver) -> CustomerActed:
    """The event of a wish of c1 for the lamp, now."""
    return CustomerActed(customer_id="c1", kind="wished", sku="lamp", occurred_at=run.now)


def cheaper(run: Driver, price_minor: int) -> ProductChanged:
    """The event by which c1 hears of a lower price of the lamp, now."""
    values = {
        "kind": "price_dropped",
        "sku": "lamp",
        "price_minor": price_minor,
        "currency": "DKK",
        "old_price_minor": 10_000,
    }
    return ProductChanged(customer_id="c1", change_id="x", occurred_at=run.now, **values)


def test_a_change_of_the_catalogue() -> None:
    """A flow on a lower price says what it starts on; the change starts it, or the values of its condition say why not."""
    where = "product.price_drop_percent >= 10"
    run = run_on(marketing(f"trigger: {{on: product.price_dropped, where: {where}}}\n{SEND}"))
    event = wish(run)
    trigger = f"product.price_dropped, once per product, where {where}"
    assert explained(run, event).reason == f"the event is not its trigger: it starts on {trigger}"
    run.handle(event)
    assert explained(run, cheaper(run, 8_000)).result == "starts"
    refused = explained(run, cheaper(run, 9_500))
    assert (refused.result, refused.reason.rpartition("; ")[2]) == ("does not start", "product.price_drop_percent is 5")
    for days, price in ((1, 10_000), (2, 9_500), (3, 8_000)):
        run.advance_to(START + days * DAY)
        run.change_product(
            ProductVersion(
                sku="lamp", offset=days, updated_at=run.now, is_in_stock=True, price_minor=price, currency="DKK"
            )
        )
    assert run.messages() == ["a"]
    assert f"skip      f step 0: the flow does not apply to this order or customer (not true: {where})" in why(run)
    assert "send      f step 0: the customer agreed to such emails (sends a; " in why(run)


def walk_timer(run: Driver) -> ScheduleTimer:
    """The timer that the walk of the only flow gives c1."""
    (plan,) = [each for each in walk_plans(run.ruleset) if each.name.startswith(("date/", "backfill/"))]
    timer = plan.timer(run.ruleset, run.customers["c1"], max(run.now, plan.starts_at))
    assert timer is not None
    return timer


@pytest.mark.parametrize(
    ("trigger", "text"),
    [
        (CAMPAIGN, "date 2026-03-05 10:00 (customer), segment buyers, once per customer"),
        (BACKFILL, "segment.entered buyers, once per customer, also for present members"),
    ],
)
def test_a_campaign_and_a_backfill(trigger: str, text: str) -> None:
    """The walk's timer starts the flow, another event a backfill only; without consent the steps say why nothing is sent."""
    run = run_on(flow_text("trigger: {on: order.paid}\n" + SEND))
    buy(run)
    before, later = run.ruleset, ruleset_of(marketing(trigger + SEND), segments=SEGMENTS)
    run.ruleset = later
    assert trigger_text(later.flows[0]) == text
    fired = timer_fired(walk_timer(run), max(run.now, walk_timer(run).due_at))
    other = SurveyAnswered(customer_id="c1", send_id=None, question="q", answer="x", occurred_at=run.now)
    assert explained(run, other).result == ("does not start" if trigger == CAMPAIGN else "starts")
    run.now = fired.occurred_at
    assert explained(run, fired).result == "starts"
    run.ruleset = before
    unsubscribe(run)
    run.ruleset = later
    assert explained(run, fired).steps[0].startswith("step 0: skip: the customer unsubscribed")
    run.handle(fired)
    assert "skip      f step 0: the customer unsubscribed" in why(run)


def test_a_customer_who_left_the_segment_of_a_campaign() -> None:
    """`takk why` names the segment that the customer had left at the moment of the campaign, and `explain` does too."""
    run = run_on(flow_text("trigger: {on: order.paid}\n" + SEND))
    buy(run)
    run.ruleset = ruleset_of(marketing(CAMPAIGN + SEND), segments=SEGMENTS)
    fired = timer_fired(walk_timer(run), walk_timer(run).due_at)
    run.ruleset = ruleset_of(marketing(CAMPAIGN + SEND), segments="buyers: customer.orders > 5")
    run.now = fired.occurred_at
    text = "the customer had left the segment of the campaign before it started (the customer is no longer in the segment buyers)"
    assert (explained(run, fired).result, explained(run, fired).reason) == ("does not start", text)
    run.handle(fired)
    assert f"skip      f step 0: {text}" in why(run)


def test_emails_that_are_sent_together() -> None:
    """An order of two products starts the flow for both; at the due time one of them says that it joined the other's email."""
    body = "trigger: {on: order.placed, once_per: product}\nsteps: [{wait: 1d}, {send: {message: a, together: true}}]"
    run = run_on(marketing(body))
    found = explained(run, OrderPlaced(order("o1", run.now, lines=LINES), run.now))
    assert found.result == "starts"
    assert [step for step in found.steps if "together with those due on the same day" in step] == [
        "then step 1: send a, priority 50, expires after 5 days, together with those due on the same day"
    ] * 2
    buy(run, lines=LINES)
    first = min(run.customers["c1"].instances, key=lambda each: each.due_at)
    timers = [each for each in run.effects if isinstance(each, ScheduleTimer) and each.instance_id == first.instance_id]
    run.now = first.due_at
    fired = explained(run, timer_fired(timers[-1], run.now))
    assert fired.result == "ends"
    joined = (
        "skip: the email is part of another one: both were due on the same day, and the flow sends such emails together"
    )
    assert [joined in step for step in fired.steps].count(True) == 1
    run.advance(DAY)
    assert {effect.rule for effect in run.effects if isinstance(effect, LogDecision)} == {"consent", "joined"}
    assert why(run).count("the email is part of another one") == 1
