"""Any history of orders, in any order and with any duplicates, mails nothing twice and gives the same totals."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.model.customer import Customer
from streams.core.model.events import (
    Event,
    OrderCancelled,
    OrderChanged,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    ShipmentStatus,
)
from streams.core.rules.ruleset import Limits
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment, shop_ruleset
from tests.harness.examples import examples

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STATUSES: tuple[ShipmentStatus, ...] = ("shipped", "delivered")


@st.composite
def lives(draw: st.DrawFn, number: int) -> list[Event]:
    """The records of one order, each at its own time, in the order of time."""
    order_id, at = f"o{number}", START - timedelta(hours=draw(st.integers(1, 60)))
    described = order(order_id, at)
    events: list[Event] = [OrderPlaced(described, at)]
    kinds = st.sampled_from(["paid", "changed", "cancelled", "refunded", "parcel", "second"])
    for step, kind in enumerate(draw(st.lists(kinds, max_size=5)), 1):
        then = at + step * HOUR
        if kind == "changed":
            described = order(order_id, at, total_minor=draw(st.integers(0, 90_000)))
            events.append(OrderChanged(described, then))
        elif kind in ("parcel", "second"):
            events += [shipment(order_id, status, then, kind, 1 + (kind == "second")) for status in STATUSES]
        else:
            event = {"paid": OrderPaid, "cancelled": OrderCancelled, "refunded": OrderRefunded}[kind]
            events.append(event(described, then))
    return events


@st.composite
def histories(draw: st.DrawFn, most: int = 5) -> list[list[Event]]:
    """The records of some orders of one customer."""
    return [draw(lives(number)) for number in range(draw(st.integers(1, most)))]


def run_of(events: list[Event], limits: Limits | None = None) -> Driver:
    """A driver after these events and the days in which emails follow from them."""
    run = Driver(shop_ruleset(**({"limits": limits} if limits is not None else {})))
    run.handle(*events)
    run.advance(10 * DAY)
    return run


def totals(customer: Customer) -> tuple[object, ...]:
    """The totals over all orders, and the times that conditions read."""
    return (
        customer.purchases,
        customer.spend,
        customer.spend_converted_minor,
        customer.first_order_at,
        customer.last_order_at,
    )


@settings(deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_any_permutation_gives_the_same_totals(history: list[list[Event]], random: object) -> None:
    """The records of a customer in any order, some of them twice, end in the totals that they have in the order of time."""
    events = [event for life in history for event in life]
    mixed = [*events, *events[: len(events) // 2]]
    random.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis gives a Random
    run = run_of(mixed)
    assert totals(run.customers["c1"]) == totals(run_of(events).customers["c1"])
    assert max(Counter(mail.send_id for mail in run.mails()).values(), default=1) == 1


@settings(max_examples=examples(40), deadline=None)
@given(histories(12), st.data())
def test_any_prefix_again_changes_nothing(history: list[list[Event]], data: st.DataObject) -> None:
    """A prefix that is delivered again sends no email and changes no total, also of orders that are no longer stored."""
    events = [event for life in history for event in life]
    run = run_of(events, Limits(orders=2, short_pieces=3))
    before, mails = totals(run.customers["c1"]), len(run.mails())
    run.handle(*events[: data.draw(st.integers(1, len(events)))])
    run.advance(10 * DAY)
    assert (totals(run.customers["c1"]), len(run.mails())) == (before, mails)
