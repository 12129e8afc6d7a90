"""`takk why`: the story of one customer, told from what the real core decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from streams.core.model.effects import LogDecision
from streams.core.model.events import MailClicked, OrderLine, OrderPlaced, OrderRefunded, ProductBrowsed, ProfileUpdated
from streams.tools.operations.customer_story import RULES, Story, story, told
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from streams.wire.topics import SCHEMA_OF
from tests.driver.cases import CASES
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment, shop_world
from tests.harness.flow_texts import DAY, buy, flow_text, ruleset_of, run_of

CODEC = open_codec()
DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)


def records(run: Driver) -> list[tuple[str, Mapping[str, Any]]]:
    """What the flows agent would have written of a run."""
    outputs = [ENCODER.effects.encode(effect, run.now) for effect in run.effects]
    return [
        (topic, CODEC.decode(SCHEMA_OF[topic], value or b""))
        for topic, _, value, _ in outputs
        if topic in (topics.DECISIONS, topics.ATTRIBUTED)
    ]


def story_of(run: Driver, customer: str = "c1", send_id: str | None = None) -> Story:
    """The story of a customer of the run; every record was written twice."""
    return story(customer, records(run) * 2, run.customers.get(customer), send_id)


def test_what_was_sent_what_was_not_and_what_waits() -> None:
    """A receipt, a review that a refund forbade, and another order's thank-you that is to come; each thing once, in the order of time."""
    run = Driver(shop_world())
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    run.advance(2 * DAY)
    run.handle(shipment("o1", "delivered", run.now), OrderRefunded(order("o1", run.now), run.now))
    run.advance(3 * DAY)
    run.handle(OrderPlaced(order("o2", run.now), run.now))
    found = story_of(run)
    assert found.is_known
    assert [(line.flow, line.what, line.order_id) for line in found.happened] == [
        ("order-confirmation", "send", "o1"),
        ("thank-you", "send", "o1"),
        ("review", "exit", "o1"),
        ("order-confirmation", "send", "o2"),
    ]
    assert [(line.flow, line.order_id, line.at - run.now) for line in found.waiting] == [("thank-you", "o2", DAY)]
    lines = told(found)
    assert lines[0] == "c1: 4 things happened, 1 are to come (times in UTC)"
    assert "review step 1 of order o1: the order was refunded (left the flow: order.refunded)" in lines[3]
    assert not any(word in " ".join(lines) for word in ("anna", "Anna", "example.com"))


def test_one_send_and_where_it_came_from() -> None:
    """Only the flow that the send came from, with what the customer did with it."""
    run = Driver(shop_world())
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    run.advance(2 * DAY)
    thanks = run.mails()[-1]
    click = {"link": "https://shop.example/", "agent": "human", "occurred_at": run.now}
    run.handle(MailClicked(customer_id="c1", send_id=thanks.send_id, **click))
    assert [(line.flow, line.what) for line in story_of(run, send_id=thanks.send_id).happened] == [
        ("thank-you", "send"),
        ("thank-you", "clicked"),
    ]
    assert story_of(run, send_id=thanks.send_id).is_known
    assert not story_of(run, send_id="0" * 32).is_known
    assert story_of(run, send_id="0" * 32).happened == ()


def test_why_a_mail_waits() -> None:
    """A mail that was put off tells since when it is due; a flow that waits for an event tells for which."""
    capped = "trigger: {on: order.placed}\nsteps: [{send: {message: a, expires: 9d}}, {wait_for: {event: mail.opened, up_to: 3d}}]"
    run = Driver(
        ruleset_of(
            *(flow_text(capped, name=name, purpose="marketing") for name in ("f", "g")),
            rules="caps: [{most: 1, per: 2d}]",
        )
    )
    buy(run)
    waiting = [line.words for line in story_of(run).waiting]
    assert waiting == [
        f"a mail that was due {run.now:%Y-%m-%d %H:%M:%S} is put off; looked at again then",
        "waits for mail.opened, not longer than until then",
    ]
    assert "the customer has had enough mails for now (enough emails for now)" in " ".join(told(story_of(run)))


def test_a_code_that_is_waited_for() -> None:
    """The pool is named, and what became of it is told in words."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps: [{reward: {name: ten, pool: spring-10}}, {wait: 1d}, {send: {message: a}}]"
    )
    buy(run)
    assert [line.words for line in story_of(run).waiting] == [
        "waits for a code of the pool spring-10, not longer than until then"
    ]
    run.advance(DAY)
    assert "no code was left for the customer: the flow went on without one" in " ".join(told(story_of(run)))


def test_why_a_launch_is_waited_for() -> None:
    """The product is named, and when the flow begins; a birthday comes again, and a segment is looked at."""
    run = Driver(
        ruleset_of(
            flow_text("trigger: {on: product.launch, before: 1d}\nsteps: [{send: {message: a}}]"),
            flow_text("trigger: {on: customer.birthday}\nsteps: [{send: {message: a}}]", name="g"),
            flow_text(
                "trigger: {on: segment.left, segment: browsing}\nsteps: [{send: {message: a}}]",
                name="h",
            ),
            segments="browsing: customer.days_since_visit < 9",
        )
    )
    run.handle(
        ProfileUpdated(customer_id="c1", birthday=run.now.date(), occurred_at=run.now),
        ProductBrowsed(
            customer_id="c1", kind="viewed", sku="tea-9", occurred_at=run.now, launches_at=run.now + 5 * DAY
        ),
    )
    waiting = [(line.at - run.now, line.about, line.words) for line in story_of(run).waiting]
    assert waiting[0] == (4 * DAY, "", "waits for the launch of the product tea-9, begins then")
    assert waiting[1][1:] == ("", "looks then whether it begins: the flow's segment may be entered or left")
    assert waiting[2][1:] == ("", "begins then, every year")


def test_why_a_moment_is_waited_for_elsewhere() -> None:
    """What is waited for can move: the line that waits says so, and one tells when it has moved, and until when it waits now."""
    run = Driver(
        ruleset_of(
            flow_text(
                "trigger: {on: order.placed, once_per: product}\n"
                "steps: [{wait: {until: product.runs_out, lasts: 30d}}, {send: {message: a}}]"
            )
        )
    )
    lines = (OrderLine("tea", "Tea", "tea", 1, 100_00),)
    run.handle(OrderPlaced(order("o1", run.now, lines=lines), run.now))
    (waiting,) = story_of(run).waiting
    assert (waiting.at, waiting.words) == (
        run.now + 30 * DAY,
        "goes on then, or when the moment that it waits for comes, if that is moved",
    )
    run.advance(10 * DAY)
    run.handle(OrderPlaced(order("o2", run.now, lines=lines), run.now))
    (waiting,) = story_of(run).waiting
    assert waiting.at == run.now + 10 * DAY
    text = " ".join(told(story_of(run)))
    assert "the moment that the flow waits for has been moved" in text
    assert f"goes on at {waiting.at.isoformat()}" in text


def test_nobody() -> None:
    """Of a customer whom nobody ever told of, nothing is known; another's records are not theirs."""
    run = Driver(shop_world())
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    assert not story_of(run, "c2").is_known
    assert story_of(run, "c2").happened == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_rule_is_explained(case: Any) -> None:
    """No case ends in a rule that has no words for people."""
    run = Driver(shop_world())
    for at, facts in case.moments():
        run.advance(timedelta(days=at) - (run.now - START))
        for fact in facts:
            sends = {mail.message: mail.send_id for mail in run.mails()}
            raw = CODEC.encode(SCHEMA_OF[fact.topic], fact.record("c1", run.now, sends))
            run.handle(DECODER.event(fact.topic, b"c1", raw, int(run.now.timestamp() * 1000)))
    run.advance(timedelta(days=case.days))
    assert {one.rule for one in run.effects if isinstance(one, LogDecision)} <= set(RULES)
