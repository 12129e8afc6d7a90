"""Experiments and holdouts."""

from __future__ import annotations

import pytest

from streams.core.model.customer import HELD_OUT
from streams.core.model.events import (
    OrderPlaced,
)
from streams.core.values.buckets import bucket
from tests.harness.driver import Driver
from tests.harness.events import order
from tests.harness.flow_texts import (
    DAY,
    run_of,
)

SEND = "steps: [{send: {message: a}}]"


def test_experiment() -> None:
    """A customer always gets the same branch, the percentages are met, and held-out customers get nothing."""
    body = (
        "trigger: {on: order.placed}\nsteps:\n  - experiment:\n      name: subject\n      holdout: 20\n      arms:\n"
        "        - {name: plain, percent: 75, steps: [{send: {message: a}}]}\n"
        "        - {name: warm, percent: 25, steps: [{send: {message: b}}]}\n"
    )
    run = run_of(body, purpose="marketing")
    for number in range(1000):
        for time in range(2):
            run.handle(OrderPlaced(order(f"o{number}-{time}", run.now, customer_id=f"c{number}"), run.now))
    got = {name: run.messages(name) for name in run.customers}
    assert all(len(messages) in (0, 2) and len(set(messages)) < 2 for messages in got.values())
    counts = [sum(found[:1] == [kind] for found in got.values()) for kind in ("a", "b")]
    held = sum(not found for found in got.values())
    assert 160 < held < 240
    assert 540 < counts[0] < 660
    assert 160 < counts[1] < 240
    assert {send.outcome for send in run.customers[next(name for name, found in got.items() if not found)].sends} == {
        HELD_OUT
    }


def held_out_customer(body: str, **settings: object) -> tuple[Driver, str]:
    """A driver, and one of its customers who are held out, of about half."""
    run = run_of(body, purpose="marketing", **settings)
    for number in range(20):
        run.handle(OrderPlaced(order(f"o{number}", run.now, customer_id=f"c{number}"), run.now))
    held = [name for name, state in run.customers.items() if any(sent.outcome == HELD_OUT for sent in state.sends)]
    assert 0 < len(held) < 20
    assert all(not run.messages(name) for name in held)
    return run, held[0]


@pytest.mark.parametrize("body", ["holdout: 50\n" + SEND, "steps: [{send: {message: a, holdout: 50}}]", SEND])
def test_holdouts(body: str) -> None:
    """An order of a customer who is held out of a flow, a send or all emails is attributed as `ordered_held_out`."""
    rules = "holdout: 50" if body == SEND else ""
    run, name = held_out_customer("trigger: {on: order.placed}\n" + body, rules=rules)
    run.advance(DAY)
    run.handle(OrderPlaced(order("again", run.now, customer_id=name), run.now))
    assert [(effect.kind, effect.order_id, effect.flow) for effect in run.attributions()] == [
        ("ordered_held_out", "again", "f")
    ]


def test_buckets_are_even() -> None:
    """Over ten thousand customers each tenth of the buckets is about as large."""
    drawn = [bucket("experiment", "x", f"c{n}") // 1000 for n in range(10_000)]
    assert all(900 < drawn.count(tenth) < 1100 for tenth in range(10))
