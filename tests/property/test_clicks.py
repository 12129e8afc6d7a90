"""Properties of clicks: neither the order of their records nor repetitions change who is held to have clicked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.model.clicks import HOLD, HeldClick, link_fingerprint, scanner_clicks
from streams.core.model.customer import Sent
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import Attribute, Effect
from streams.core.model.events import MailClicked, MailReported
from tests.harness.driver import START, Driver
from tests.harness.examples import examples
from tests.harness.flow_texts import buy, flow_text, ruleset_of

RULESET = ruleset_of(
    flow_text("""
trigger: {on: order.placed}
steps:
  - send: {message: a}
  - wait_for: {event: mail.clicked, up_to: 1h, then: [{send: {message: b}}], otherwise: [{send: {message: c}}]}
"""),
    flow_text("trigger: {on: mail.clicked, once_per: customer}\nsteps: [{send: {message: a}}]", name="second"),
)
#: Links, and milliseconds after the start.
clicks = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40_000)), max_size=8, unique=True)


def held(link: str, ms: int) -> HeldClick:
    """Return a held click."""
    return HeldClick("s1", link_fingerprint(link), START + timedelta(milliseconds=ms), "human", link, START)


@given(clicks, clicks, st.randoms(use_true_random=False))
def test_a_judgement(some: Sequence[tuple[str, int]], more: Sequence[tuple[str, int]], random: Random) -> None:
    """Clicks in any order, some of them twice, are judged the same. More clicks never make a person of a scanner."""
    judged = scanner_clicks([held(*click) for click in some], (START,))
    again = [*some, *random.sample(some, len(some) // 2)]
    random.shuffle(again)
    assert scanner_clicks([held(*click) for click in again], (START,)) == judged
    assert scanner_clicks([held(*click) for click in (*some, *more)], (START,)) >= judged


def run_of(arrivals: Sequence[tuple[str, int]], gaps: Sequence[int], report_at: int) -> Driver:
    """Return a run in which the records of clicks arrive within the hold of the first one, and then two hours without events.

    Args:
        arrivals: the clicks in the order of their records.
        gaps: the milliseconds between two records.
        report_at: before which record the report of the email arrives.
    """
    run = Driver(RULESET, is_reporting=False)
    buy(run)
    send_id, sent_at = run.mails()[0].send_id, run.now
    run.advance(timedelta(minutes=10))
    for number in range(max(len(arrivals), report_at + 1)):
        if number == report_at:
            run.handle(MailReported(customer_id="c1", send_id=send_id, outcome="sent", occurred_at=sent_at))
        if number < len(arrivals):
            link, ms = arrivals[number]
            at = sent_at + timedelta(milliseconds=ms)
            click = MailClicked(
                customer_id="c1", send_id=send_id, link=link, agent="human", occurred_at=at, event_id=f"{link}{ms}"
            )
            run.handle(click)
            run.customers["c1"] = decode_customer(encode_customer(run.customers["c1"]))
            run.advance(timedelta(milliseconds=gaps[number]))
    run.advance(2 * timedelta(hours=1))
    return run


def essence(run: Driver) -> tuple[list[str], list[Effect], Sequence[HeldClick], Sent]:
    """Return what followed from the clicks: emails, published clicks, and the state."""
    customer = run.customers["c1"]
    published: list[Effect] = [effect for effect in run.effects if isinstance(effect, Attribute)]
    return sorted(run.messages()), published, customer.held_clicks, customer.sends[0]


@settings(max_examples=examples(60))
@given(
    clicks,
    st.randoms(use_true_random=False),
    st.lists(st.integers(0, 500), min_size=20, max_size=20),
    st.integers(0, 7),
)
def test_records_in_any_order(
    some: Sequence[tuple[str, int]], random: Random, gaps: Sequence[int], report_at: int
) -> None:
    """Records that arrive within the hold in any order, some of them twice, have the same effects. Later copies have none."""
    expected = essence(run_of(some, [0] * 20, 0))
    again = [*some, *random.sample(some, len(some) // 2)]
    random.shuffle(again)
    run = run_of(again, gaps, min(report_at, len(again)))
    assert essence(run) == expected
    before = len(run.effects)
    for link, ms in again:
        at = START + timedelta(milliseconds=ms)
        send_id = run.mails()[0].send_id
        run.handle(
            MailClicked(
                customer_id="c1", send_id=send_id, link=link, agent="human", occurred_at=at, event_id=f"{link}{ms}"
            )
        )
    run.advance(HOLD)
    assert len(run.effects) == before
