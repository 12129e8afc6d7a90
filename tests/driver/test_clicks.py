"""Clicks count ten seconds later, when it is clear that no scanner made them."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from streams.core.engine import advance
from streams.core.model.clicks import HOLD, STEP
from streams.core.model.customer import new_customer
from streams.core.model.customer_codec import encode_customer
from streams.core.model.effects import ScheduleTimer
from streams.core.model.events import (
    CustomerMerged,
    MailClicked,
    MailDelivered,
    MailOpened,
    SurveyAnswered,
    TimerFired,
    Unsubscribed,
)
from streams.core.model.person_events import CustomerErased
from streams.core.rules.ruleset import Limits
from tests.harness.driver import Driver
from tests.harness.flow_texts import buy, flow_text, ruleset_of

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
WAITS = """
trigger: {on: order.placed}
steps:
  - send: {message: a}
  - wait_for: {event: mail.clicked, up_to: 1h, then: [{send: {message: b}}], otherwise: [{send: {message: c}}]}
"""


def run_of(**options: Any) -> Driver:
    """Return a shop whose customer c1 got the email `a` a minute ago."""
    run = Driver(ruleset_of(flow_text(WAITS), **options))
    buy(run)
    run.advance(MINUTE)
    return run


def clicked(run: Driver, link: str, seconds: float = 0, **changes: Any) -> MailClicked:
    """Return a click on a link, some seconds after the present time."""
    fields: dict[str, Any] = {"customer_id": "c1", "send_id": run.mails()[0].send_id, "agent": "human"} | changes
    return MailClicked(link=f"https://shop.example/{link}", occurred_at=run.now + seconds * SECOND, **fields)


def agents(run: Driver) -> list[str]:
    """Return the class of each click that was published."""
    return [effect.agent for effect in run.attributions() if effect.kind == "clicked"]


@pytest.mark.parametrize("agent", ["human", "unknown"])
def test_a_click_counts_after_the_hold(agent: str) -> None:
    """A click moves its flow ten seconds later, once, however often its record arrives."""
    run = run_of()
    click = clicked(run, "x", agent=agent)
    run.handle(click, click)
    run.advance(HOLD - SECOND / 1000)
    run.handle(click)
    assert (run.messages(), agents(run)) == (["a"], [])
    run.advance(SECOND / 1000)
    assert (run.messages(), agents(run)) == (["a", "b"], [agent])
    run.handle(click)
    run.advance(HOLD)
    assert (run.messages(), agents(run)) == (["a", "b"], [agent])
    (sent, _) = run.customers["c1"].sends
    assert sent.clicked_at == (click.occurred_at if agent == "human" else None)


def test_a_scanner() -> None:
    """Links that are clicked like a scanner does it move nothing, in whatever order their records arrive, and are published as a scanner's."""
    for order in permutations(range(3)):
        run = run_of()
        clicks = [clicked(run, str(number), number * 2) for number in range(3)]
        for place in order:
            run.handle(clicks[place], clicks[place])
            run.advance(SECOND)
        run.advance(HOLD)
        assert (run.messages(), agents(run)) == (["a"], ["scanner"] * 3)
        assert run.customers["c1"].sends[0].clicked_at is None
        run.handle(late := clicked(run, "late", -5))
        run.advance(HOLD)
        assert late.occurred_at - clicks[-1].occurred_at < HOLD
        assert (run.messages(), agents(run)) == (["a"], ["scanner"] * 4)
        run.handle(clicked(run, "x", 60))
        run.advance(HOLD)
        assert run.messages() == ["a", "b"]


def test_a_click_as_the_email_arrives() -> None:
    """A click within 1.5 seconds after the email was accepted, or delivered, is a scanner's."""
    run = Driver(ruleset_of(flow_text(WAITS)))
    buy(run)
    run.handle(clicked(run, "x", 1.4))
    run.advance(HOLD)
    assert agents(run) == ["scanner"]
    delivered = MailDelivered(customer_id="c1", send_id=run.mails()[0].send_id, occurred_at=run.now + MINUTE)
    run.handle(clicked(run, "x", 61), delivered)
    run.advance(2 * HOLD)
    assert agents(run) == ["scanner"] * 2
    assert run.messages() == ["a"]


def test_a_click_just_before_the_wait_ends() -> None:
    """A click that is held when the wait of its flow ends counts, if it was in time. The wait ends once."""
    for seconds, message in ((-1, "b"), (1, "c")):
        run = run_of()
        run.advance(timedelta(minutes=59) - 2 * SECOND)
        click = clicked(run, "x", 2 + seconds)
        run.handle(click)
        run.advance(timedelta(hours=1))
        assert run.messages() == ["a", message]


@pytest.mark.parametrize("is_scanner", [False, True])
def test_orders_wait_for_held_clicks(is_scanner: bool) -> None:
    """An order right after a click is credited to the click's email when the hold ends, unless it was a scanner's click."""
    run = run_of()
    links = ("x", "y", "z") if is_scanner else ("x",)
    run.handle(*[clicked(run, link, -1) for link in links])
    buy(run, "o2")
    assert not [effect for effect in run.attributions() if effect.kind == "ordered"]
    run.advance(HOLD)
    credited = [effect.order_id for effect in run.attributions() if effect.kind == "ordered"]
    assert credited == ([] if is_scanner else ["o2"])


def test_a_merge_during_the_hold() -> None:
    """Clicks under both ids of a person who is merged meanwhile are judged together, and count for the person."""
    for links, messages in (("x", ["a", "b"]), ("xyz", ["a"])):
        run = run_of()
        clicks = [clicked(run, link, number) for number, link in enumerate(links)]
        run.handle(*clicks[:2])
        run.handle(CustomerMerged(customer_id="c1", into="c2", occurred_at=run.now), *clicks[2:], clicks[0])
        assert len(run.customers["c2"].held_clicks) == len(links)
        run.advance(HOLD)
        assert run.messages() == messages
        assert agents(run) == ["scanner" if len(links) > 1 else "human"] * len(links)


def test_an_erasure_during_the_hold() -> None:
    """Nothing remains of a held click."""
    run = run_of()
    run.handle(clicked(run, "x"), CustomerErased(customer_id="c1", occurred_at=run.now))
    run.advance(HOLD)
    assert run.customers["c1"] == new_customer("c1")
    assert agents(run) == []


def test_too_many_clicks() -> None:
    """Clicks beyond the limit are a scanner's at once. The state is bounded."""
    run = run_of(limits=Limits(held_clicks=3))
    run.handle(*[clicked(run, f"{number}" + "x" * 1900, number) for number in range(9)])
    assert agents(run) == ["scanner"] * 6
    assert [decision for decision in run.decisions() if decision[1] == "limit"] == [("f", "limit", "held_clicks")]
    assert len(run.customers["c1"].held_clicks) == 3
    run.advance(HOLD)
    assert agents(run) == ["scanner"] * 9
    assert len(encode_customer(run.customers["c1"])) < 1500


def test_repeated_records_have_one_effect() -> None:
    """Records with the same event id count once, also if the source gave them different times."""
    run = run_of()
    send_id, at = run.mails()[0].send_id, run.now
    for minute in (0, 1):
        fields: dict[str, Any] = {"customer_id": "c1", "send_id": send_id, "occurred_at": at + minute * MINUTE}
        run.handle(
            MailOpened(agent="human", event_id="o1", **fields),
            MailClicked(agent="human", link="x", event_id="c1", **fields),
            SurveyAnswered(question="nps", answer="9", event_id="s1", **fields),
            Unsubscribed(scope="review", event_id="u1", **fields),
        )
        run.advance(MINUTE)
    assert sorted(effect.kind for effect in run.attributions()) == ["answered", "clicked", "opened", "unsubscribed"]
    run.handle(MailOpened(agent="human", event_id="o2", **fields))
    assert [effect.kind for effect in run.attributions()].count("opened") == 2


def test_a_repeated_timer() -> None:
    """The timer that ends a hold changes nothing if it fires again, and a customer without clicks has none."""
    run = run_of()
    assert STEP not in [effect.step for effect in run.effects if isinstance(effect, ScheduleTimer)]
    run.handle(clicked(run, "x"), clicked(run, "x", 2))
    (timer,) = [effect for effect in run.effects if isinstance(effect, ScheduleTimer) and effect.step == STEP]
    run.advance(HOLD)
    fired = TimerFired(occurred_at=run.now, **{name: getattr(timer, name) for name in timer.__struct_fields__})
    state = run.customers["c1"]
    assert advance(run.ruleset, state, fired, run.now) == (state, [])
