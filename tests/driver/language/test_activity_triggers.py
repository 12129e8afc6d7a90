"""Triggers of reviews and referrals. Each on the driver, in `takk simulate` and in `takk why`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from streams.core.model.events import Event, OrderPlaced
from streams.core.model.person_events import CustomerActed
from streams.tools.operations.rule_texts import RULES
from streams.tools.simulation.history import History
from streams.tools.simulation.outcome import simulate
from tests.harness.driver import START, Driver
from tests.harness.events import order
from tests.harness.flow_texts import DAY, HOUR, buy, flow_text, ruleset_of, run_of

SEND = "steps: [{send: {message: a}}]"
SAID: Mapping[str, Mapping[str, Any]] = {
    "referral.redeemed": {"kind": "referral_redeemed", "order_id": "friends-order"},
    "review.written": {"kind": "reviewed", "sku": "s1", "stars": 5},
}
NAMES = sorted(SAID)


def acted(name: str, hours: int = 0, **changes: Any) -> CustomerActed:
    """The event that starts flows on `name`, this many hours after the start."""
    values: dict[str, Any] = {"customer_id": "c1", "event_id": f"e{hours}", "occurred_at": START + hours * HOUR}
    return CustomerActed(**{**values, **SAID[name], **changes})


@pytest.mark.parametrize("name", NAMES)
def test_again_after(name: str) -> None:
    """The event starts a flow once per customer; with `again_after` a later one starts it again, and a repeated one never."""
    for again, mails in (("", 1), (", again_after: 1d", 2)):
        run = run_of(f"trigger: {{on: {name}{again}}}\n{SEND}")
        buy(run)
        for hours in (0, 1, 30, 30):
            run.advance(START + hours * HOUR - run.now)
            run.handle(acted(name, hours))
        run.advance(3 * DAY)
        run.handle(acted(name, 30))
        assert len(run.mails()) == mails


@pytest.mark.parametrize("name", NAMES)
def test_exits(name: str) -> None:
    """The event ends a flow that names it in `exit_on`, with a text for `takk why`; an older one does not."""
    for hours, messages in ((24, []), (-24, ["a"])):
        run = run_of(
            f"trigger: {{on: order.placed}}\nexit_on: [{name}]\nsteps: [{{wait: 3d}}, {{send: {{message: a}}}}]"
        )
        buy(run)
        run.advance(DAY)
        run.handle(acted(name, hours))
        run.advance(9 * DAY)
        assert run.messages() == messages
        assert (("f", "exit", name) in run.decisions()) == (not messages)
    assert RULES[name]


@pytest.mark.parametrize("name", NAMES)
def test_simulated(name: str) -> None:
    """`takk simulate` counts the emails that the event starts, once for a repeated event."""
    flow = flow_text(f"trigger: {{on: {name}, again_after: 1d}}\nsteps: [{{wait: 1d}}, {{send: {{message: a}}}}]")
    events: list[Event] = [OrderPlaced(order("o1", START), START), acted(name, 1), acted(name, 1), acted(name, 48)]
    history = History([(event.occurred_at, event) for event in events])
    found = simulate(ruleset_of(flow), history, 5)
    assert found.by_flow == {"f/a": 2}


def test_stars_of_a_review() -> None:
    """`where` and a split know the stars. A review that `where` rejects does not count as a start."""
    run = run_of(
        "trigger: {on: review.written, where: event.stars != 3}\n"
        "steps: [{split: [{when: event.stars >= 4, steps: [{send: {message: a}}]}, {otherwise: [{send: {message: b}}]}]}]"
    )
    buy(run)
    run.handle(acted("review.written", 1, stars=3))
    assert run.decisions() == [("f", "skip", "where")]
    run.handle(acted("review.written", 2, stars=2), acted("review.written", 3, stars=5))
    assert run.messages() == ["b"]


def test_reward_for_a_referral() -> None:
    """Each friend's order brings a code; the friend's order is not taken for one of the customer's."""
    flow = flow_text(
        "trigger: {on: referral.redeemed, again_after: 1h}\n"
        "steps: [{reward: {name: thanks}}, {split: [{when: reward.is_given and customer.orders == 1, steps: [{send: {message: a}}]}]}]"
    )
    run = Driver(ruleset_of(flow, reward_key=b"key"))
    buy(run)
    for hours in (0, 2):
        run.advance(hours * HOUR)
        run.handle(acted("referral.redeemed", hours))
    codes = [mail.content.reward for mail in run.mails()]
    assert len(codes) == len(set(codes)) == 2
    assert all(codes)
