"""Orders live: history on the topics, duplicates of any number, many open orders, and orders whose events contradict each other."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest
from msgspec.structs import replace

from streams.core.model.customer import Customer
from streams.core.model.customer_codec import encode_customer
from streams.core.model.effects import LogDecision
from streams.core.model.events import (
    Event,
    OrderCancelled,
    OrderChanged,
    OrderLine,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
)
from streams.core.model.person_events import ProfileUpdated
from streams.core.rules.ruleset import Limits
from streams.core.sending.content import template_data
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment, shop_ruleset
from tests.harness.flow_texts import flow_text, ruleset_of, run_of, update_profile

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SHIPPED = "trigger: {on: shipment.shipped, once_per: parcel}\nsteps: [{send: {message: a}}]"
REVIEW = "trigger: {on: shipment.delivered}\nsteps: [{wait: 2d}, {send: {message: a}}]"


@pytest.fixture
def run() -> Driver:
    """A driver with the shop's flows."""
    return Driver(shop_ruleset())


def rules_of(run: Driver) -> list[tuple[str, str]]:
    """Flow and rule of every decision."""
    return [(flow, rule) for flow, _, rule in run.decisions()]


def totals(customer: Customer) -> tuple[object, ...]:
    """The totals over all orders."""
    return customer.purchases, customer.spend, customer.spend_converted_minor, customer.discounted


def placed(order_id: str, at: object = START, **changes: object) -> OrderPlaced:
    """An order that is placed when it occurs."""
    return OrderPlaced(order(order_id, at, **changes), at)  # type: ignore[arg-type]  # a time


def lived(number: int, days_ago: float) -> list[Event]:
    """The events of an order that was placed some days ago, paid, shipped and delivered within two days."""
    at, order_id = START - days_ago * DAY, f"o{number}"
    described = order(order_id, at)
    return [
        OrderPlaced(described, at),
        OrderPaid(described, at + HOUR),
        shipment(order_id, "shipped", at + DAY, f"p{number}"),
        shipment(order_id, "delivered", at + 2 * DAY, f"p{number}"),
    ]


def test_history_on_the_topic_at_the_first_start(run: Driver) -> None:
    """Orders of 30 to 60 days ago update the state and mail nobody; each start that does not happen is a decision."""
    for number in range(30):
        run.handle(*lived(number, 30 + number))
    run.advance(30 * DAY)
    assert run.mails() == []
    assert run.customers["c1"].purchases == 30
    for flow in ("order-confirmation", "shipment-confirmation", "thank-you", "review"):
        assert rules_of(run).count((flow, "too_old")) == 30
    assert {rule for _, rule in rules_of(run)} == {"too_old"}


@pytest.mark.parametrize(
    ("text", "event", "age", "is_sent"),
    [
        ("trigger: {on: order.placed}", placed("o1"), 3 * DAY, True),
        ("trigger: {on: order.placed}", placed("o1"), 3 * DAY + HOUR, False),
        ("max_age: 5d\ntrigger: {on: order.placed}", placed("o1"), 5 * DAY, True),
        ("max_age: 1h\ntrigger: {on: order.placed}", placed("o1"), 2 * HOUR, False),
    ],
)
def test_max_age(text: str, event: Event, age: timedelta, is_sent: bool) -> None:
    """A flow starts by an event up to its `max_age`, three days without one."""
    run = run_of(f"{text}\nsteps: [{{send: {{message: a}}}}]")
    run.advance(age)
    run.handle(event)
    assert bool(run.mails()) == is_sent
    assert ((("f", "too_old") in rules_of(run)) == is_sent) is False


def test_max_age_after_a_delivery() -> None:
    """A flow that starts at a delivery still starts 14 days later."""
    for days, is_sent in ((14, True), (15, False)):
        run = run_of("trigger: {on: shipment.delivered}\nsteps: [{send: {message: a}}]")
        run.handle(placed("o1"))
        run.advance(days * DAY)
        run.handle(shipment("o1", "delivered", START))
        assert bool(run.mails()) == is_sent


def test_max_age_scales_with_the_day() -> None:
    """If a day takes a second, an event of four seconds ago is too old."""
    for seconds, is_sent in ((2, True), (4, False)):
        run = run_of("trigger: {on: order.placed}\nsteps: [{send: {message: a}}]", day_scale=1 / 86_400)
        run.advance(timedelta(seconds=seconds))
        run.handle(placed("o1"))
        assert bool(run.mails()) == is_sent


def test_a_parcel_that_is_shipped_late() -> None:
    """An old order does not hold its new parcels back: the age of each event counts."""
    run = run_of(SHIPPED)
    run.handle(placed("o1", START - 20 * DAY), shipment("o1", "shipped", START - 19 * DAY, "p1", 2))
    assert run.mails() == []
    run.handle(shipment("o1", "shipped", START, "p2", 2))
    assert [mail.order_id for mail in run.mails()] == ["o1"]


def test_an_old_event_starts_no_flow_of_a_segment() -> None:
    """A segment that the customer enters by an event of long ago starts nothing; one that they enter by time does."""
    flow = flow_text("trigger: {on: segment.entered, segment: lapsed}\nsteps: [{send: {message: a}}]")
    run = Driver(ruleset_of(flow, segments="lapsed: customer.days_since_last_order > 20"))
    run.handle(placed("o1", START - 30 * DAY))
    assert (run.mails(), rules_of(run)) == ([], [("f", "too_old")])
    run.handle(placed("o2"))
    run.advance(30 * DAY)
    assert len(run.mails()) == 1


@pytest.mark.parametrize("count", [17, 145, 600])
def test_every_order_again(run: Driver, count: int) -> None:
    """Every event of every order, delivered again, sends nothing and counts nothing."""
    events = [event for number in range(count) for event in lived(number, 2)]
    run.handle(*events)
    run.advance(9 * DAY)
    before, mails = run.customers["c1"], len(run.mails())
    assert before.purchases == count
    assert sum(mail.flow == "order-confirmation" for mail in run.mails()) == count
    assert sum(mail.flow == "shipment-confirmation" for mail in run.mails()) == count
    for order_events in (events, events[::-1]):
        run.handle(*order_events)
        run.advance(9 * DAY)
    assert len(run.mails()) == mails
    assert totals(run.customers["c1"]) == totals(before)


def test_an_order_before_everything_that_is_remembered() -> None:
    """Once fingerprints were replaced, an unknown order that is older than they were may have counted: it teaches nothing."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps: [{send: {message: a}}]", limits=Limits(orders=2, order_fingerprints=10)
    )
    events = [event for number in range(40) for event in lived(number, 2 - number / 100)]
    run.handle(*events)
    before, mails = run.customers["c1"], len(run.mails())
    assert (before.purchases, mails) == (40, 40)
    run.handle(*events)
    assert (run.customers["c1"].purchases, len(run.mails())) == (40, mails)
    assert ("", "too_old") in rules_of(run)
    assert totals(run.customers["c1"]) == totals(before)


@pytest.mark.parametrize(("orders", "lines"), [(4, 24), (17, 1), (60, 3)])
def test_every_open_order_is_shipped_with_an_email(run: Driver, orders: int, lines: int) -> None:
    """However many orders are open and however large they are, each shipment email leaves, to the address of its order."""
    for number in range(orders):
        items = tuple([OrderLine(f"s{number}-{n}", "Tea " * 20, "tea", 1, 100) for n in range(lines)])
        run.handle(placed(f"o{number}", run.now, lines=items, email=f"anna{number}@example.com"))
        run.advance(HOUR)
    run.advance(5 * DAY)
    for number in range(orders):
        run.handle(shipment(f"o{number}", "shipped", run.now, f"p{number}"))
    shipped = [mail for mail in run.mails() if mail.flow == "shipment-confirmation"]
    assert [(mail.order_id, mail.to_address) for mail in shipped] == [
        (f"o{number}", f"anna{number}@example.com") for number in range(orders)
    ]
    assert all(template_data(mail.content)["order"]["total"]["minor"] == 50_000 for mail in shipped)


def test_a_parcel_of_an_order_that_is_no_longer_stored(run: Driver) -> None:
    """Of more open orders than the state keeps, each still gets its shipment email once, from the record of the parcel."""
    for number in range(200):
        run.handle(placed(f"o{number}", run.now))
    assert len(run.customers["c1"].orders) < 120
    parcels = [shipment(f"o{number}", "shipped", run.now, f"p{number}") for number in range(200)]
    run.handle(*parcels, *parcels)
    shipped = [mail for mail in run.mails() if mail.flow == "shipment-confirmation"]
    assert sorted(mail.order_id or "" for mail in shipped) == sorted(f"o{number}" for number in range(200))
    data = template_data(shipped[0].content)
    assert (data["shipment"]["tracking_number"], data["shipment"]["order_id"]) == ("Tp0", "o0")


def test_many_flows_that_confirm_later() -> None:
    """Transactional flows that wait have more room than others: none of 60 is refused."""
    run = run_of("trigger: {on: order.placed}\nsteps: [{wait: 1h}, {send: {message: a}}]", purpose="order")
    for number in range(60):
        run.handle(placed(f"o{number}"))
    run.advance(2 * HOUR)
    assert len(run.mails()) == 60


def test_a_refund_of_an_order_that_is_no_longer_stored() -> None:
    """It changes the totals once, and its email leaves once."""
    flow = flow_text("trigger: {on: order.refunded}\nsteps: [{send: {message: a}}]", purpose="order")
    run = Driver(ruleset_of(flow))
    for number in range(40):
        run.handle(*lived(number, 30 - number / 2))
    refund = OrderRefunded(order("o0", START - 30 * DAY), START)
    run.handle(refund, refund, replace(refund, occurred_at=START + HOUR))
    assert len(run.mails()) == 1
    assert dict(run.customers["c1"].spend)["DKK"] == 39 * 50_000


PAID_LATE = [
    placed("o1"),
    OrderCancelled(order("o1", START), START + HOUR),
    OrderPaid(order("o1", START), START + 2 * HOUR),
]


@pytest.mark.parametrize("events", list(permutations(PAID_LATE)))
def test_cancelled_then_paid(run: Driver, events: tuple[Event, ...]) -> None:
    """The newest fact about an order's life counts: one that is paid after its cancellation is shipped and counts."""
    run.handle(*events)
    assert totals(run.customers["c1"])[0] == 1
    run.advance(DAY)
    run.handle(shipment("o1", "shipped", run.now))
    assert "shipped" in run.messages()


def test_paid_then_cancelled(run: Driver) -> None:
    """A cancellation after the payment ends the order, in whatever order they arrive."""
    paid, cancelled = OrderPaid(order("o1", START), START + HOUR), OrderCancelled(order("o1", START), START + 2 * HOUR)
    run.handle(placed("o1"), cancelled, paid)
    run.handle(shipment("o1", "shipped", run.now))
    assert totals(run.customers["c1"])[0] == 0
    assert "shipped" not in run.messages()


@pytest.mark.parametrize("kind", [OrderRefunded, OrderPaid, OrderChanged])
def test_an_old_order_teaches_the_profile_nothing(run: Driver, kind: type[OrderChanged]) -> None:
    """After a move, an event of an older order leaves address, name and country alone; its own emails go to its own address."""
    old = order("o1", START, email="old@example.com", name="Anna Old", country="DK")
    run.handle(OrderPlaced(old, START))
    run.advance(10 * DAY)
    update_profile(run, email="new@example.com", name="Anna New", country="SE")
    run.handle(kind(old, run.now))
    profile = run.customers["c1"].profile
    assert (profile.email, profile.name, profile.country) == ("new@example.com", "Anna New", "SE")
    run.handle(shipment("o1", "shipped", run.now))
    assert run.mails()[-1].to_address == "old@example.com"


def test_a_newer_order_teaches_the_profile(run: Driver) -> None:
    """An order that was placed after the newest profile brings its address; a correction of that order does too."""
    update_profile(run, email="old@example.com", name="Anna", country="DK")
    run.advance(DAY)
    placed_at = run.now
    run.handle(OrderPlaced(order("o1", placed_at, email="new@example.com"), placed_at))
    run.handle(OrderChanged(order("o1", placed_at, email="newest@example.com"), placed_at + HOUR))
    assert run.customers["c1"].profile.email == "newest@example.com"
    run.handle(OrderPlaced(order("o1", placed_at, email="new@example.com"), placed_at))
    assert run.customers["c1"].profile.email == "newest@example.com"


def test_a_parcel_that_is_added_while_the_review_waits() -> None:
    """The review is not asked for while a parcel that was added late is under way, but two days after its delivery."""
    run = run_of(REVIEW, purpose="order")
    run.handle(placed("o1"), shipment("o1", "delivered", START, "p1"))
    run.advance(DAY)
    run.handle(shipment("o1", "shipped", run.now, "p2", 2))
    run.advance(4 * DAY)
    assert run.mails() == []
    assert ("f", "parcel_added") in rules_of(run)
    run.handle(shipment("o1", "delivered", run.now, "p2", 2))
    delivered = run.now
    run.advance(9 * DAY)
    assert [
        effect.decided_at - delivered
        for effect in run.effects
        if isinstance(effect, LogDecision) and effect.outcome == "send"
    ] == [2 * DAY]


def test_a_parcel_that_is_added_after_the_first_email() -> None:
    """A flow that has sent an email goes on: it must not start from its first step again."""
    run = run_of(
        "trigger: {on: shipment.delivered}\nsteps: [{send: {message: a}}, {wait: 2d}, {send: {message: b}}]",
        purpose="order",
    )
    run.handle(placed("o1"), shipment("o1", "delivered", START, "p1"), shipment("o1", "shipped", START, "p2", 2))
    run.advance(3 * DAY)
    run.handle(shipment("o1", "delivered", run.now, "p2", 2))
    run.advance(9 * DAY)
    assert run.messages() == ["a", "b"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "thanks"),
        ({"history": "unknown"}, "thanks"),
        ({"history": "partial"}, "thanks"),
        ({"history": "partial", "orders_before": 1}, "returning"),
        ({"history": "complete"}, "first-time-subscriber"),
        ({"history": "complete", "orders_before": 7}, "returning"),
        ({"history": "complete", "orders_before": 7, "spend_before_minor": 2_000_000}, "vip"),
    ],
)
def test_first_order_of_a_customer_with_a_past(said: dict[str, object], message: str) -> None:
    """Only a customer whose history is complete and empty is thanked for a first order; an unknown one gets the generic email."""
    ruleset = shop_ruleset()
    run = Driver(ruleset_with(ruleset, history="unknown"))
    run.handle(ProfileUpdated(customer_id="c1", marketing_consent=True, occurred_at=START, **said))  # type: ignore[arg-type]  # fields of the event
    run.handle(placed("o1"))
    run.advance(2 * DAY)
    assert [mail.message for mail in run.mails() if mail.flow == "thank-you"] == [message]


def ruleset_with(ruleset, **rules):  # type: ignore[no-untyped-def]  # a ruleset with other sending rules
    """The ruleset with other sending rules."""
    return shop_ruleset(rules=replace(ruleset.rules, **rules))


def test_newest_statement_about_the_history_counts(run: Driver) -> None:
    """Of statements about the past the newest counts, in whatever order they arrive, and a record without one changes nothing."""
    said = [
        ProfileUpdated(customer_id="c1", occurred_at=START, history="partial", orders_before=2),
        ProfileUpdated(customer_id="c1", occurred_at=START + HOUR, history="complete", orders_before=9),
        ProfileUpdated(customer_id="c1", occurred_at=START + 2 * HOUR),
    ]
    for events in permutations(said):
        again = Driver(run.ruleset)
        again.handle(*events)
        history = again.customers["c1"].history
        assert history is not None
        assert (history.state, history.orders) == ("complete", 9)


def test_imported_events_start_nothing(run: Driver) -> None:
    """An order, a parcel and a profile of today that were imported update the state and send nothing, not even later."""
    described = order("o1", START, is_imported=True)
    run.handle(
        ProfileUpdated(customer_id="c1", occurred_at=START, is_imported=True, history="complete"),
        OrderPlaced(described, START),
        replace(shipment("o1", "shipped", START), is_imported=True),
        replace(shipment("o1", "delivered", START), is_imported=True),
    )
    run.advance(30 * DAY)
    assert run.mails() == []
    assert {rule for _, rule in rules_of(run)} == {"imported"}
    assert run.customers["c1"].purchases == 1


@pytest.mark.parametrize("count", [2_000, pytest.param(5_000, marks=pytest.mark.campaign)])
def test_size_of_many_orders(run: Driver, count: int) -> None:
    """The state of a customer with thousands of orders, open or delivered, stays under 64 kB."""
    for is_open in (False, True):
        run = Driver(shop_ruleset())
        for number in range(count):
            events = lived(number, count / 500 - number / 500)
            run.handle(*(events[:1] if is_open else events))
            run.effects.clear()
        state = run.customers["c1"]
        size = len(encode_customer(state))
        assert size < 65_536, f"{size} bytes, {len(state.orders)} orders stored"
        assert state.purchases == count
