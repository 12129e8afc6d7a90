"""Flows that go live: backfills of present members, and customers without events whom time alone changes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streams.core.model.events import OrderPlaced, ProductBrowsed
from streams.core.model.person_events import ProfileUpdated
from streams.core.triggers.walk_plans import walk_plans
from tests.harness.driver import START, Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, HOUR, flow_text, ruleset_of

SEND = "steps: [{send: {message: a}}]"
OTHER = flow_text(f"trigger: {{on: order.paid}}\n{SEND}", name="other")
SEGMENTS = "loyal: customer.orders >= 2\nlapsed: customer.days_since_last_order > 180\nactive: customer.days_since_last_order < 90"


def flow_on(trigger: str, name: str = "f", status: str = "live") -> str:
    """A flow with this trigger that sends one email."""
    return flow_text(f"trigger: {{{trigger}}}\n{SEND}", name=name, status=status)


def going_live(*flows: str, orders: int = 2, age: timedelta = DAY) -> Driver:
    """A driver with flows that go live when the customer c1 has some orders of that age, and no event since."""
    before = Driver(ruleset_of(OTHER, segments=SEGMENTS))
    for number in range(orders):
        before.handle(OrderPlaced(order(f"o{number}", before.now), before.now))
    run = Driver(ruleset_of(*flows, segments=SEGMENTS), start=START + age)
    run.customers = before.customers
    return run


def look(run: Driver) -> None:
    """Let the customer view a product: an event that no flow here is about."""
    run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=run.now))


@pytest.mark.parametrize(
    ("trigger", "orders", "count"),
    [
        ("on: segment.entered, segment: loyal, backfill: true", 2, 1),
        ("on: segment.entered, segment: loyal, backfill: true", 1, 0),
        ("on: segment.entered, segment: loyal, backfill: false", 2, 0),
        ("on: segment.entered, segment: loyal", 2, 0),
        ("on: customer.reached, threshold: customer.orders >= 2, backfill: true", 2, 1),
    ],
)
def test_backfill(trigger: str, orders: int, count: int) -> None:
    """Only a flow that asks for it starts for the customers who are in its segment, or beyond its threshold, when it goes live."""
    run = going_live(flow_on(trigger), orders=orders)
    run.advance(HOUR)
    assert len(run.mails()) == count


def test_a_backfilled_flow_starts_once() -> None:
    """A customer who started by a backfill does not start again at the next event, which finds them in the segment."""
    run = going_live(flow_on("on: segment.entered, segment: loyal, backfill: true"))
    run.advance(HOUR)
    look(run)
    run.advance(400 * DAY)
    assert run.messages() == ["a"]


def test_a_backfill_is_an_event() -> None:
    """Another flow on the same segment starts as at any event of the customer."""
    other = flow_on("on: segment.entered, segment: loyal", name="g")
    run = going_live(flow_on("on: segment.entered, segment: loyal, backfill: true"), other)
    run.advance(HOUR)
    assert sorted(mail.flow for mail in run.mails()) == ["f", "g"]


def test_a_backfill_is_spread() -> None:
    """With `spread` a backfill starts within that time; a customer who has left the segment by then does not start."""
    run = going_live(flow_on("on: segment.entered, segment: active, backfill: true, spread: 7d"), age=DAY)
    run.advance(timedelta(minutes=1))
    assert run.messages() == []
    run.advance(7 * DAY)
    assert run.messages() == ["a"]
    late = going_live(flow_on("on: segment.entered, segment: active, backfill: true, spread: 7d"), age=90 * DAY - HOUR)
    late.advance(8 * DAY)
    assert late.messages() == []
    assert ("f", "skip", "left_segment") in late.decisions()


def test_a_draft_is_not_backfilled() -> None:
    """A draft does not use its backfill up."""
    assert [
        len(walk_plans(ruleset_of(flow_on("on: segment.entered, segment: loyal, backfill: true", status=status), segments=SEGMENTS)))
        for status in ("draft", "paused", "live")
    ] == [0, 0, 1]  # fmt: skip


def test_a_customer_without_events_enters_a_segment() -> None:
    """A customer whose last event was before the flow went live enters the segment when its time comes."""
    run = going_live(flow_on("on: segment.entered, segment: lapsed"), age=30 * DAY)
    run.advance_to(START + 180 * DAY - HOUR)
    assert run.messages() == []
    run.advance(400 * DAY)
    assert run.messages() == ["a"]


def test_a_customer_without_events_who_is_in_the_segment_does_not_enter_it() -> None:
    """A customer who was in the segment when the flow went live starts only with a backfill."""
    run = going_live(flow_on("on: segment.entered, segment: lapsed"), age=200 * DAY)
    run.advance(400 * DAY)
    assert run.messages() == []


def test_a_customer_without_events_leaves_a_segment() -> None:
    """A customer without events leaves a segment by time alone."""
    run = going_live(flow_on("on: segment.left, segment: active"), age=30 * DAY)
    run.advance_to(START + 90 * DAY - HOUR)
    assert run.messages() == []
    run.advance(400 * DAY)
    assert run.messages() == ["a"]


def test_an_event_before_the_check() -> None:
    """An event before the time of the check moves the change, and the flow starts once, at the later time."""
    run = going_live(flow_on("on: segment.entered, segment: lapsed"), age=30 * DAY)
    run.advance(DAY)
    run.handle(OrderPlaced(order("late", run.now), run.now))
    run.advance_to(START + 31 * DAY + 180 * DAY - HOUR)
    assert run.messages() == []
    run.advance(2 * DAY)
    assert run.messages() == ["a"]


def test_two_flows_share_a_watch() -> None:
    """Flows on the same segment need one walk; with another condition they need another one."""
    entered, left = "on: segment.entered, segment: lapsed", "on: segment.left, segment: lapsed"
    first = walk_plans(ruleset_of(flow_on(entered), flow_on(left, name="g"), segments=SEGMENTS))
    changed = walk_plans(ruleset_of(flow_on(entered), segments=SEGMENTS.replace("180", "365")))
    assert len(first) == len(changed) == 1
    assert first[0].name != changed[0].name


@pytest.mark.parametrize(
    ("trigger", "days"),
    [
        ("on: customer.birthday, before: 3d", 7),
        ("on: customer.date, date: wedding", 20),
        ("on: customer.anniversary", 365),
        ("on: customer.date, date: name_day", None),
    ],
)
def test_dates_of_customers_without_events(trigger: str, days: int | None) -> None:
    """A flow on a date that is known already starts for customers who have had no event since it went live, every year."""
    before = Driver(ruleset_of(OTHER))
    born, wedding = (START + 10 * DAY).date().replace(year=1980), (START + 20 * DAY).date()
    before.handle(
        ProfileUpdated(customer_id="c1", birthday=born, dates=(("wedding", wedding),), occurred_at=before.now)
    )
    before.handle(OrderPlaced(order("o1", before.now), before.now))
    run = Driver(ruleset_of(flow_on(trigger)), start=START + DAY)
    run.customers = before.customers
    run.advance((days or 400) * DAY - 2 * DAY)
    assert run.messages() == []
    run.advance(2 * DAY)
    assert len(run.mails()) == (days is not None)
    run.advance(365 * DAY)
    assert len(run.mails()) == 2 * (days is not None)


def test_dates_that_are_scheduled() -> None:
    """A customer whose date is scheduled gets no timer by the walk; with another `before`, the walk schedules the date again."""
    one, two = (ruleset_of(flow_on(f"on: customer.birthday, before: {days}d")) for days in (1, 2))
    run = Driver(one)
    run.handle(ProfileUpdated(customer_id="c1", birthday=(START + 10 * DAY).date(), occurred_at=run.now))
    (plan,), (other,) = walk_plans(one), walk_plans(two)
    assert plan.timer(one, run.customers["c1"], run.now) is None
    assert other.timer(two, run.customers["c1"], run.now) is not None
    assert plan.name != other.name
