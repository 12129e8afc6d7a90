"""Properties of every story: repeated, reordered and late events."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.engine import advance
from streams.core.model.customer import Customer, new_customer
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import LogDecision, ScheduleTimer, SendMail
from streams.core.model.events import (
    Event,
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    OrderRefunded,
    Unsubscribed,
)
from streams.core.model.person_events import CustomerErased
from tests.harness.driver import START, Driver, timer_fired
from tests.harness.events import shipment
from tests.harness.examples import examples
from tests.harness.stories import (
    HOUR,
    RULESET,
    order_events,
    shipment_events,
    stories,
    unsubscribed,
)


def run_story(story: list[tuple[Event, timedelta]], *, times: int = 1) -> Driver:
    """Return a run of the story, with each event `times` times, and then a month without events."""
    run = Driver(RULESET)
    for event, gap in story:
        for _ in range(times):
            run.handle(event)
        run.advance(gap)
    run.advance(timedelta(days=30))
    return run


@settings(max_examples=examples(120), deadline=None)
@given(stories)
def test_repeated_events_change_nothing(story: list[tuple[Event, timedelta]]) -> None:
    """Repeating every event gives the same state and the same effects."""
    once, twice = run_story(story), run_story(story, times=2)
    assert twice.customers == once.customers
    assert twice.effects == once.effects


@settings(max_examples=examples(120), deadline=None)
@given(stories, st.randoms(use_true_random=False))
def test_one_email_per_step_whatever_is_repeated(story: list[tuple[Event, timedelta]], random: object) -> None:
    """Repeating the story and all timers at the end sends nothing twice and starts nothing twice."""
    run = run_story(story)
    again = [event for event, _ in story]
    random.shuffle(again)  # type: ignore[attr-defined]  # a random.Random
    timers = [timer_fired(one, run.now) for one in run.effects if isinstance(one, ScheduleTimer)]
    run.handle(*again, *timers)
    run.advance(timedelta(days=30))
    sent = Counter(mail.send_id for mail in run.mails())
    assert not [send for send, count in sent.items() if count > 1]
    decided = Counter(one.decision_id for one in run.effects if isinstance(one, LogDecision))
    assert not [decision for decision, count in decided.items() if count > 1]
    assert run.customers == {} or run.customers["c1"].instances == ()


@settings(max_examples=examples(120), deadline=None)
@given(stories, stories)
def test_an_erased_customer_is_a_new_one(
    before: list[tuple[Event, timedelta]], after: list[tuple[Event, timedelta]]
) -> None:
    """After an erasure everything happens as for a customer of whom only the refusals are known: state, emails, timers and decisions."""
    erased, fresh = Driver(RULESET), Driver(RULESET)
    for event, gap in before:
        erased.handle(event)
        for run in (erased, fresh):
            run.advance(gap)
    erased.handle(CustomerErased(customer_id="c1", occurred_at=erased.now))
    kept = erased.customers["c1"]
    assert kept == Customer("c1", consent=kept.consent)
    fresh.customers["c1"] = kept
    erased.effects.clear()
    for event, gap in after:
        for run in (erased, fresh):
            run.handle(event)
            run.advance(gap)
    for run in (erased, fresh):
        run.advance(timedelta(days=30))
    assert erased.customers == fresh.customers
    assert erased.effects == fresh.effects


@settings(max_examples=examples(120), deadline=None)
@given(stories, unsubscribed)
def test_only_transactional_emails_after_unsubscribing(
    story: list[tuple[Event, timedelta]], goodbye: Unsubscribed
) -> None:
    """After an unsubscription every email is transactional."""
    run = Driver(RULESET)
    run.handle(goodbye)
    run.effects.clear()
    for event, gap in story:
        run.handle(event)
        run.advance(gap)
    run.advance(timedelta(days=30))
    assert {mail.purpose for mail in run.mails()} <= {"order"}


@settings(max_examples=examples(120), deadline=None)
@given(st.lists(st.one_of(order_events, shipment_events), max_size=8), st.randoms(use_true_random=False))
def test_the_state_does_not_depend_on_the_order_of_events(events: list[Event], random: object) -> None:
    """Events of different times, in any order, give the same purchases, spend, orders and parcels."""
    apart = [
        type(event)(event.order, START + index * HOUR)
        if isinstance(event, (OrderPlaced, OrderChanged, OrderCancelled, OrderRefunded))
        else shipment(event.order_id, event.status, START + index * HOUR, event.parcel_id, event.parcels_in_order)
        for index, event in enumerate(events)
    ]
    mixed = list(apart)
    random.shuffle(mixed)  # type: ignore[attr-defined]  # a random.Random
    straight, shuffled = Driver(RULESET), Driver(RULESET)
    straight.handle(*apart)
    shuffled.handle(*mixed)
    expected = straight.customers.get("c1", new_customer("c1"))
    actual = shuffled.customers.get("c1", new_customer("c1"))
    assert (actual.purchases, actual.spend, actual.spend_converted_minor) == (
        expected.purchases,
        expected.spend,
        expected.spend_converted_minor,
    )
    assert sorted(actual.orders, key=lambda order: order.order_id) == sorted(
        expected.orders, key=lambda order: order.order_id
    )


@settings(max_examples=examples(120), deadline=None)
@given(stories)
def test_state_survives_its_bytes_and_advance_is_a_function(story: list[tuple[Event, timedelta]]) -> None:
    """Encoding and decoding between two events changes nothing; the same arguments give the same result."""
    state = new_customer("c1")
    now = START
    for event, gap in story:
        now += gap
        after, effects = advance(RULESET, state, event, now)
        read = decode_customer(encode_customer(state))
        assert read == state
        assert advance(RULESET, read, event, now) == (after, effects)
        state = after


@settings(max_examples=examples(60), deadline=None)
@given(stories)
def test_every_email_has_its_decision(story: list[tuple[Event, timedelta]]) -> None:
    """Each email has exactly one decision to send it."""
    run = run_story(story)
    decided = [one.send_id for one in run.effects if isinstance(one, LogDecision) and one.outcome == "send"]
    assert decided == [one.send_id for one in run.effects if isinstance(one, SendMail)]
