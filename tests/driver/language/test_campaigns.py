"""The trigger `date`: campaigns to a segment at a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.effects import LogDecision
from streams.core.model.events import OrderCancelled, OrderPlaced
from streams.core.model.person_events import CustomerErased, ProfileUpdated
from streams.core.triggers.walk_plans import walk_plans
from tests.harness.driver import START, Driver, timer_fired
from tests.harness.events import order
from tests.harness.flow_texts import DAY, HOUR, flow_text, ruleset_of, unsubscribe

SEGMENTS = "loyal: customer.orders >= 2"
#: 9 o'clock in Copenhagen on the day of the campaign.
MOMENT = datetime(2026, 3, 9, 8, tzinfo=UTC)


def campaign(options: str = "clock: shop", *, status: str = "live", at: str = "2026-03-09 09:00") -> str:
    """A campaign to loyal customers."""
    trigger = f"{{on: date, at: {at}, segment: loyal, {options}}}"
    body = f"trigger: {trigger}\nsteps: [{{send: {{message: a}}}}]"
    return flow_text(body, purpose="marketing", status=status)


def run_of(text: str, **settings: Any) -> Driver:
    """A driver with one campaign."""
    return Driver(ruleset_of(text, segments=SEGMENTS, **settings))


def add_customer(run: Driver, name: str = "c1", orders: int = 2, country: str = "DK") -> None:
    """Add a customer with marketing consent and some orders."""
    run.handle(
        ProfileUpdated(
            customer_id=name,
            email=f"{name}@example.com",
            country=country,
            marketing_consent=True,
            occurred_at=run.now,
        )
    )
    for number in range(orders):
        run.handle(OrderPlaced(order(f"{name}-{number}", run.now, customer_id=name, country=country), run.now))


def sent(run: Driver) -> list[tuple[str, datetime]]:
    """The customer and the time of each email, by time."""
    return [
        (effect.customer_id, effect.decided_at)
        for effect in run.effects
        if isinstance(effect, LogDecision) and effect.outcome == "send"
    ]


def test_a_campaign_starts_at_its_moment_for_its_segment() -> None:
    """The members of the segment get the email at the moment by the shop's clock, once, and no other customer does."""
    run = run_of(campaign())
    add_customer(run, "loyal")
    add_customer(run, "new", orders=1)
    run.advance_to(MOMENT - timedelta(seconds=1))
    assert sent(run) == []
    run.advance(400 * DAY)
    assert sent(run) == [("loyal", MOMENT)]


def test_the_clock_of_the_customer() -> None:
    """By default the moment is that of the customer's own clock."""
    run = run_of(campaign("spread: 1s"))
    add_customer(run, "auckland", country="NZ")
    add_customer(run, "copenhagen")
    run.advance(20 * DAY)
    (first, first_at), (second, second_at) = sent(run)
    assert (first, second) == ("auckland", "copenhagen")
    assert (MOMENT - 12 * HOUR) - first_at < timedelta(seconds=1)
    assert second_at - MOMENT < timedelta(seconds=1)


def test_a_campaign_is_spread() -> None:
    """Customers start at different times within the spread, each always at the same one."""
    times = []
    for _ in range(2):
        run = run_of(campaign("clock: shop, spread: 4h"))
        for number in range(40):
            add_customer(run, f"c{number}")
        run.advance(20 * DAY)
        times.append(sent(run))
    assert times[0] == times[1]
    assert len(dict(times[0])) == len(times[0]) == 40
    quarters = {(at - MOMENT) // HOUR for _, at in times[0]}
    assert quarters == {0, 1, 2, 3}


def test_a_customer_who_left_the_segment() -> None:
    """A customer who leaves the segment between the walk and their moment does not start, and a decision says so."""
    run = run_of(campaign("spread: 7d"))
    add_customer(run)
    run.advance_to(MOMENT - 10 * HOUR)
    run.handle(OrderCancelled(order("c1-0", START), run.now))
    run.advance(20 * DAY)
    assert sent(run) == []
    assert ("f", "skip", "left_segment") in run.decisions()


@pytest.mark.parametrize(("late", "count"), [(timedelta(0), 1), (23 * HOUR, 1), (25 * HOUR, 0), (400 * DAY, 0)])
def test_a_campaign_that_is_past(late: timedelta, count: int) -> None:
    """A flow that goes live within a day after the moment starts at once; later it starts for nobody."""
    before = Driver(ruleset_of(flow_text("trigger: {on: order.paid}\nsteps: [{send: {message: a}}]")))
    add_customer(before)
    run = Driver(ruleset_of(campaign(), segments=SEGMENTS), start=MOMENT + late)
    run.customers = before.customers
    run.advance(DAY / 48)
    assert len(sent(run)) == count


def test_max_age_of_a_campaign() -> None:
    """`max_age` says how long after the moment a customer may start."""
    text = campaign() + "\nmax_age: 2h"
    (plan,) = walk_plans(ruleset_of(text, segments=SEGMENTS))
    assert (plan.starts_at, plan.ends_at) == (MOMENT, MOMENT + 2 * HOUR)


def test_a_campaign_that_moves() -> None:
    """If the moment moves after the walk, the earlier timers start nothing, and the customer starts once, at the new moment."""
    run = run_of(campaign("clock: shop, spread: 1h"))
    add_customer(run)
    run.advance_to(MOMENT)
    later = campaign("clock: shop", at="2026-03-10 09:00").replace("version: 1", "version: 2")
    moved = Driver(ruleset_of(later, segments=SEGMENTS), start=run.now)
    moved.customers, moved._queue = run.customers, run._queue
    moved.advance(20 * DAY)
    assert sent(moved) == [("c1", MOMENT + DAY)]


@pytest.mark.parametrize(("options", "count"), [("clock: shop", 1), ("clock: shop, again_after: 5d", 2)])
def test_a_campaign_with_a_second_moment(options: str, count: int) -> None:
    """A customer who started the flow does not start again at a later moment, unless `again_after` has passed."""
    run = run_of(campaign(options))
    add_customer(run)
    run.advance(20 * DAY)
    later = campaign(options, at="2026-04-09 09:00")
    second = Driver(ruleset_of(later, segments=SEGMENTS), start=run.now)
    second.customers = run.customers
    second.advance(40 * DAY)
    assert len(sent(run)) + len(sent(second)) == count


def test_a_draft_does_not_use_the_campaign_up() -> None:
    """A campaign that ran as a draft still starts for the customer once it is live."""
    draft = run_of(campaign(status="draft"))
    add_customer(draft)
    draft.advance_to(MOMENT + HOUR)
    assert draft.mails() == []
    live = Driver(ruleset_of(campaign(), segments=SEGMENTS), start=draft.now)
    live.customers = draft.customers
    live.advance(HOUR)
    assert [mail.customer_id for mail in live.mails()] == ["c1"]


def test_consent_holds_for_campaigns() -> None:
    """A customer without consent gets no email of a campaign; the decision has the usual rule."""
    run = run_of(campaign())
    add_customer(run)
    unsubscribe(run)
    run.advance(20 * DAY)
    assert run.mails() == []
    assert ("f", "skip", "unsubscribed") in run.decisions()


def test_caps_hold_for_campaigns() -> None:
    """A campaign waits for its place under a frequency cap."""
    rules = "caps: [{most: 1, per: 2d, of: [marketing]}]"
    other = flow_text("trigger: {on: order.placed}\nsteps: [{send: {message: b}}]", name="g", purpose="marketing")
    ruleset = ruleset_of(campaign("clock: shop, spread: 1s"), other, segments=SEGMENTS, rules=rules)
    run = Driver(ruleset)
    run.advance_to(MOMENT - HOUR)
    add_customer(run)
    run.advance(2 * HOUR)
    assert ("f", "defer", "cap") in run.decisions()


def test_an_erased_customer() -> None:
    """A timer that fires after the erasure of the customer stores nothing."""
    run = run_of(campaign("clock: shop, spread: 1h"))
    add_customer(run)
    run.advance_to(MOMENT)
    ((_, _, timer),) = run._queue
    run.handle(CustomerErased(customer_id="c1", occurred_at=run.now))
    assert run._queue == []
    nobody = new_customer("c1")
    assert advance(run.ruleset, nobody, timer_fired(timer, timer.due_at), timer.due_at) == (nobody, [])
