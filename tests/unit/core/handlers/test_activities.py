"""Wish lists, likes, reviews, referrals and contests start flows, once per event, with the data that conditions read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.model.events import SurveyAnswered
from streams.core.model.person_events import ActivityKind, CustomerActed
from tests.harness.driver import START, Driver
from tests.harness.flow_texts import flow_text, ruleset_of, update_profile


def run_on(trigger: str) -> Driver:
    """Return a driver with one flow, and a customer with an address."""
    run = Driver(ruleset_of(flow_text(f"trigger: {trigger}\nsteps:\n  - send: {{message: a}}\n")))
    update_profile(run, email="anna@example.com")
    return run


def acted(kind: ActivityKind, **changes: Any) -> CustomerActed:
    """Return an event of the customer."""
    return CustomerActed(customer_id="c1", kind=kind, occurred_at=START, **changes)


@pytest.mark.parametrize(
    ("trigger", "event"),
    [
        ("{on: product.wished, where: product.sku == 's1'}", acted("wished", sku="s1")),
        ("{on: product.liked}", acted("liked", sku="s1")),
        ("{on: review.written, where: event.stars >= 4}", acted("reviewed", stars=4)),
        ("{on: referral.redeemed}", acted("referral_redeemed", event_id="e1")),
        ("{on: contest.entered, where: event.contest == 'easter'}", acted("contest_entered", contest="easter")),
    ],
)
def test_an_activity_starts_its_flow_once(trigger: str, event: CustomerActed) -> None:
    """The event starts the flow, and repeated it changes nothing."""
    run = run_on(trigger)
    run.handle(event)
    assert run.messages() == ["a"]
    before, effects = run.customers["c1"], len(run.effects)
    run.handle(event)
    assert (run.customers["c1"], len(run.effects)) == (before, effects)


@pytest.mark.parametrize(
    ("trigger", "event"),
    [
        ("{on: product.wished}", acted("unwished", sku="s1")),
        ("{on: product.liked}", acted("wished", sku="s1")),
        ("{on: review.written, where: event.stars >= 4}", acted("reviewed", stars=3)),
        ("{on: contest.entered, where: event.contest == 'easter'}", acted("contest_entered", contest="summer")),
    ],
)
def test_other_activities_start_nothing(trigger: str, event: CustomerActed) -> None:
    """A wish that is taken back, another kind, and an event that `where` rejects send nothing."""
    run = run_on(trigger)
    run.handle(event)
    assert run.messages() == []


def test_a_number_in_an_answer() -> None:
    """Conditions compare it as a number; an answer without one counts as 0."""
    run = run_on("{on: survey.answered, where: event.number >= 9}")
    for question, number in (("a", None), ("b", 8_999), ("c", 9_000)):
        run.handle(
            SurveyAnswered(
                customer_id="c1",
                send_id=None,
                question=question,
                answer="x",
                occurred_at=START,
                number_thousandths=number,
            )
        )
        assert run.messages() == (["a"] if number == 9_000 else [])


def test_the_price_of_a_wish() -> None:
    """A wish keeps the price of its record, and a newer wish has the newer one."""
    run = run_on("{on: product.wished}")
    run.handle(acted("wished", sku="s1", unit_price_minor=12_900, currency="DKK"))
    (wish,) = run.customers["c1"].profile.traits.collected
    assert (wish.unit_price_minor, wish.currency) == (12_900, "DKK")
    later = CustomerActed(customer_id="c1", kind="wished", sku="s1", occurred_at=START + timedelta(days=1))
    run.handle(replace(later, unit_price_minor=9_900, currency="DKK"))
    (wish,) = run.customers["c1"].profile.traits.collected
    assert wish.unit_price_minor == 9_900
