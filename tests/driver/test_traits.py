"""Attributes, places, dates, external ids, wishes and likes of a customer: conditions, decisions, emails, erasure and bounds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streams.core.model.customer import new_customer
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import LogDecision
from streams.core.model.orders.order import Address, OrderDetails
from streams.core.model.person_events import ActivityKind, CustomerActed, CustomerErased
from streams.core.sending.content import template_data
from tests.harness.driver import Driver
from tests.harness.flow_texts import answer_survey, buy, flow_text, ruleset_of, run_of, update_profile

HOUR = timedelta(hours=1)
ATTRIBUTES = (("points", 120), ("rating", "4.5"), ("size", "M"))


def asked(condition: str, **profile: Any) -> Driver:
    """Return a driver whose customer gets an email at each answer if the condition holds."""
    run = run_of(
        f'trigger: {{on: survey.answered, again_after: 1h, where: "{condition}"}}\nsteps: [{{send: {{message: a}}}}]'
    )
    update_profile(run, email="anna@example.com", **profile)
    return run


def acted(run: Driver, kind: ActivityKind, sku: str) -> None:
    """Let the customer wish for a product, like it, or take that back, now."""
    run.handle(CustomerActed(customer_id="c1", kind=kind, sku=sku, occurred_at=run.now))


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("customer.attributes.size == 'M'", True),
        ("customer.attributes.size in ['S', 'M']", True),
        ("customer.attributes.size != 'M'", False),
        ("customer.attributes.points >= 100", True),
        ("100 < customer.attributes.points < 200", True),
        ("customer.attributes.points == '120'", True),
        ("customer.attributes.points in [120]", True),
        ("customer.attributes.rating > 4", True),
        ("customer.attributes.points > customer.attributes.rating", True),
        ("customer.attributes.unknown == ''", True),
        ("customer.attributes.unknown == 0", True),
        ("customer.attributes.size == 0", True),
        ("customer.city == 'Aarhus' and customer.postal_code == '8000'", True),
        ("customer.is_company", True),
        ("'klaviyo' in customer.external_ids", True),
        ("'mailchimp' in customer.external_ids", False),
        ("'s1' in customer.wishes", False),
        ("customer.wish_count == 0", True),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    """The other side of a comparison says whether an attribute is a text or a number; an unknown one is empty or 0."""
    run = asked(
        condition,
        attributes=ATTRIBUTES,
        city="Aarhus",
        postal_code="8000",
        is_company=True,
        external_ids=(("klaviyo", "01AB"),),
    )
    answer_survey(run, "x")
    assert run.messages() == (["a"] if holds else [])


def test_wishes_and_likes() -> None:
    """A wish holds until it is taken back, also without a flow that starts by it. A like is apart."""
    run = asked("'s1' in customer.wishes and customer.wish_count == 1 and 's1' not in customer.likes")
    acted(run, "wished", "s1")
    answer_survey(run, "x", "1")
    assert run.messages() == ["a"]
    run.advance(2 * HOUR)
    acted(run, "liked", "s1")
    answer_survey(run, "x", "2")
    run.advance(2 * HOUR)
    acted(run, "unliked", "s1")
    answer_survey(run, "x", "3")
    run.advance(2 * HOUR)
    acted(run, "unwished", "s1")
    answer_survey(run, "x", "4")
    assert run.messages() == ["a", "a"]


def test_a_repeated_activity_changes_nothing() -> None:
    """The same wish again gives the same state object."""
    run = asked("true")
    acted(run, "wished", "s1")
    before = run.customers["c1"]
    acted(run, "wished", "s1")
    assert run.customers["c1"] is before


def test_the_newest_profile_counts() -> None:
    """A later record adds, changes and removes attributes, and keeps those that it does not name. An older one only fills gaps."""
    run = asked("true", attributes=(("a", "1"), ("b", "2"), ("c", "3")), city="Aarhus", postal_code="8000")
    run.advance(HOUR)
    update_profile(run, attributes=(("b", None), ("c", "4")), city="Odense")
    run.advance(HOUR)
    old = run.now - 3 * HOUR
    update_profile(run, attributes=(("b", "5"), ("d", "6")), city="Oslo", is_company=True, occurred_at=old)
    traits = run.customers["c1"].profile.traits
    assert {name: traits.attribute(name) for name in "abcd"} == {"a": "1", "b": None, "c": "4", "d": "6"}
    # The postal code of Aarhus does not belong to Odense.
    assert (traits.city, traits.postal_code, traits.is_company) == ("Odense", "", True)


def test_an_order_says_where_the_customer_lives() -> None:
    """The billing address of the newest order is the place of a customer whose profile has none."""
    run = asked("true")
    run.advance(HOUR)
    buy(run, details=OrderDetails(billing_address=Address(postal_code="5000", city="Odense")))
    assert run.customers["c1"].profile.traits.city == "Odense"


def test_what_was_left_out_is_a_decision_without_the_values() -> None:
    """The decision names the flaws, once for the same ones, and has neither names nor values of attributes."""
    run = asked("true")
    for _ in range(2):
        update_profile(run, attributes=tuple((f"name{n}", f"secret{n}") for n in range(31)), flaws="1 invalid name")
        run.advance(HOUR)
    decisions = [effect for effect in run.effects if isinstance(effect, LogDecision)]
    assert [(each.outcome, each.rule) for each in decisions] == [("note", "bad_attribute")]
    assert decisions[0].detail == "of the newest profile: 1 invalid name, 1 more than are kept"
    assert len(run.customers["c1"].profile.traits.attributes) == 30


def test_emails_have_the_attributes() -> None:
    """The data of templates has attributes, place and kind of customer."""
    run = asked("true", attributes=(*ATTRIBUTES, ("gone", None)), city="Aarhus")
    answer_survey(run, "x")
    customer = template_data(run.mails()[0].content)["customer"]
    assert customer["attributes"] == dict(ATTRIBUTES)
    assert (customer["city"], customer["postal_code"], customer["is_company"]) == ("Aarhus", "", False)


def test_an_erasure_removes_all_of_it() -> None:
    """Nothing is left, not even for a customer of whom only a wish was known."""
    run = asked("true", attributes=ATTRIBUTES)
    acted(run, "wished", "s1")
    run.handle(CustomerErased(customer_id="c1", occurred_at=run.now))
    assert run.customers["c1"] == new_customer("c1")
    acted(run, "liked", "s2")
    run.handle(CustomerErased(customer_id="c1", occurred_at=run.now))
    assert run.customers["c1"] == new_customer("c1")


def test_the_largest_traits() -> None:
    """With every row full of the longest values, the state takes less than 17 kB in ASCII, and less than 56 kB in the widest letters."""
    for letter, most in (("x", 17_000), ("😀", 56_000)):
        run = Driver(ruleset_of(flow_text("trigger: {on: product.viewed}\nsteps: [{send: {message: a}}]")))
        update_profile(
            run,
            attributes=tuple((f"{n:040}", letter * 100) for n in range(50)),
            external_ids=tuple((f"{n:040}", letter * 200) for n in range(50)),
            city=letter * 100,
        )
        for number in range(60):
            run.now += HOUR
            acted(run, "wished", f"{number:03}".ljust(200, letter))
            acted(run, "liked", f"{number:03}".ljust(200, letter))
        state = run.customers["c1"]
        assert len(encode_customer(state)) < most
        assert decode_customer(encode_customer(state)) == state
        assert len(state.profile.traits.collected) == 40
