"""Flows of merged customers: each once, with its timer, its code and its limits."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from streams.core.model.effects import WithdrawClaim
from streams.core.model.events import CustomerMerged, OrderPlaced, ProductBrowsed
from streams.core.model.person_events import ProfileUpdated
from streams.core.offers.code_pool_records import Code
from streams.core.rules.ruleset import Limits
from tests.harness.driver import Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, flow_text, ruleset_of, sent

HOUR = timedelta(hours=1)


def run_with(body: str, **settings: object) -> Driver:
    """Return a driver with one flow, whose emails need no consent."""
    return Driver(ruleset_of(flow_text(body, purpose="order"), **settings))


def place(run: Driver, customer_id: str, order_id: str) -> None:
    """Place an order now."""
    run.handle(OrderPlaced(order(order_id, run.now, customer_id=customer_id), run.now))


def merge(run: Driver, customer_id: str = "g", into: str = "c1") -> None:
    """Merge a customer now."""
    run.handle(CustomerMerged(customer_id=customer_id, into=into, occurred_at=run.now))


@pytest.mark.parametrize(
    ("again", "gap", "emails"),
    [
        ("", HOUR, 1),  # both wait
        ("", 3 * DAY, 1),  # the guest has had the email
        (", again_after: 30d", HOUR, 1),
        (", again_after: 30d", 3 * DAY, 2),  # the customer's own run, which began before the merge, continues
    ],
)
def test_a_flow_once_per_customer(again: str, gap: timedelta, emails: int) -> None:
    """Of two ids in the same flow, one gets its email after the merge, or none if the other has had it. A new order starts nothing."""
    steps = "steps: [{wait: 2d}, {send: {message: a}}]"
    run = run_with(f"trigger: {{on: order.placed, once_per: customer{again}}}\n{steps}")
    place(run, "g", "o1")
    run.advance(gap)
    place(run, "c1", "o2")
    merge(run)
    place(run, "c1", "o3")
    place(run, "g", "o4")
    run.advance(10 * DAY)
    assert len(sent(run)) == emails
    assert (("f", "exit", "already_in_flow") in run.decisions()) == (emails == 1)


def test_a_flow_that_ended_for_the_guest_does_not_start_again() -> None:
    """The guest got the email of the customer's only run, so no later order starts it."""
    run = run_with("trigger: {on: order.placed, once_per: customer}\nsteps: [{send: {message: a}}]")
    place(run, "g", "o1")
    merge(run)
    place(run, "c1", "o2")
    place(run, "g", "o3")
    assert run.messages() == ["a"]


def test_flows_of_different_orders_all_continue() -> None:
    """Each order has its own run, and each run its timer."""
    run = run_with("trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a}}]")
    place(run, "g", "o1")
    place(run, "c1", "o2")
    merge(run)
    run.advance(3 * DAY)
    assert [mail.customer_id for mail in run.mails()] == ["c1", "c1"]
    assert {mail.order_id for mail in run.mails()} == {"o1", "o2"}
    assert run.customers["c1"].instances == ()


def test_a_birthday_comes_once() -> None:
    """Both ids waited for it; the customer is congratulated once, this year and the next."""
    run = run_with("trigger: {on: customer.birthday}\nsteps: [{send: {message: a}}]")
    for customer_id in ("g", "c1"):
        run.handle(
            ProfileUpdated(
                customer_id=customer_id, email="a@example.com", birthday=date(1990, 4, 1), occurred_at=run.now
            )
        )
    merge(run)
    run.advance(60 * DAY)
    assert run.messages() == ["a"]
    run.advance(366 * DAY)
    assert run.messages() == ["a", "a"]


def test_a_launch_that_the_guest_waited_for() -> None:
    """The customer gets the email of the launch, once, although both viewed the product."""
    run = run_with("trigger: {on: product.launch, before: 1d}\nsteps: [{send: {message: a}}]")
    run.handle(ProfileUpdated(customer_id="c1", email="a@example.com", occurred_at=run.now))
    for customer_id in ("g", "c1"):
        for sku in ("s1", "s2") if customer_id == "g" else ("s1",):
            run.handle(
                ProductBrowsed(
                    customer_id=customer_id, kind="viewed", sku=sku, occurred_at=run.now, launches_at=run.now + 9 * DAY
                )
            )
    merge(run)
    run.advance(20 * DAY)
    assert run.messages() == ["a", "a"]


CODES = """trigger: {on: order.placed, once_per: customer}
steps: [{reward: {name: ten, pool: spring, expires: 30d, within: 5d}}, {send: {message: a}}]"""


def test_a_code_that_was_claimed_by_the_guest() -> None:
    """The code is granted to the guest's id, and continues the customer's flow."""
    run = run_with(CODES)
    place(run, "g", "o1")
    merge(run)
    run.stock(Code("spring", "SPRING-1"))
    assert [mail.content.reward for mail in run.mails()] == ["SPRING-1"]


def test_a_claim_of_a_flow_that_ends_is_withdrawn() -> None:
    """The code returns to the pool: the customer has the same flow."""
    run = run_with(CODES)
    place(run, "g", "o1")
    place(run, "c1", "o2")
    merge(run)
    assert len([effect for effect in run.effects if isinstance(effect, WithdrawClaim)]) == 1
    run.stock(Code("spring", "SPRING-1"), Code("spring", "SPRING-2"))
    assert len(run.mails()) == 1


def test_more_flows_than_a_customer_may_have() -> None:
    """Those of the guest beyond the limit end, with a decision each."""
    run = run_with(
        "trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a}}]",
        limits=Limits(instances=1, transactional_instances=1),
    )
    for number in range(2):
        place(run, "g", f"g{number}")
        place(run, "c1", f"c{number}")
    merge(run)
    assert len(run.customers["c1"].instances) == 2
    assert run.decisions().count(("f", "limit", "instances")) == 2
