"""`takk why`: the story of one customer, told from what the real core decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from streams.core.model.effects import LogDecision
from streams.core.model.events import MailClicked, OrderLine, OrderPlaced, OrderRefunded, ProductBrowsed, ProfileUpdated
from streams.tools.operations.customer_story import Timeline, build_timeline
from streams.tools.operations.rule_texts import RULES
from streams.tools.operations.timeline_text import format_timeline
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from streams.wire.topics import SCHEMA_OF
from tests.driver.cases import CASES
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment, shop_ruleset
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


def story_of(run: Driver, customer: str = "c1", send_id: str | None = None) -> Timeline:
    """The story of a customer of the run; every record was written twice."""
    return build_timeline(customer, records(run) * 2, run.customers.get(customer), send_id)


def test_what_was_sent_what_was_not_and_what_waits() -> None:
    """A receipt, a review that a refund forbade, and another order's thank-you that is to come; each thing once, in the order of time."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    run.advance(2 * DAY)
    run.handle(shipment("o1", "delivered", run.now), OrderRefunded(order("o1", run.now), run.now))
    run.advance(3 * DAY)
    run.handle(OrderPlaced(order("o2", run.now), run.now))
    found = story_of(run)
    assert found.is_known
    assert [(line.flow, line.what, line.order_id) for line in found.entries] == [
        ("order-confirmation", "send", "o1"),
        ("thank-you", "send", "o1"),
        ("review", "exit", "o1"),
        ("order-confirmation", "send", "o2"),
    ]
    assert [(line.flow, line.order_id, line.at - run.now) for line in found.waiting] == [("thank-you", "o2", DAY)]
    lines = format_timeline(found)
    assert lines[0] == "c1: 4 entries, 1 waiting (times in UTC)"
    assert "review step 1 of order o1: the order was refunded (left the flow: order.refunded)" in lines[3]
    assert not any(word in " ".join(lines) for word in ("anna", "Anna", "example.com"))


def test_one_send_and_where_it_came_from() -> None:
    """Only the flow that the send came from, with what the customer did with it."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    run.advance(2 * DAY)
    thanks = run.mails()[-1]
    click = {"link": "https://shop.example/", "agent": "human", "occurred_at": run.now}
    run.handle(MailClicked(customer_id="c1", send_id=thanks.send_id, **click))
    assert [(line.flow, line.what) for line in story_of(run, send_id=thanks.send_id).entries] == [
        ("thank-you", "send"),
        ("thank-you", "clicked"),
    ]
    assert story_of(run, send_id=thanks.send_id).is_known
    assert not story_of(run, send_id="0" * 32).is_known
    assert story_of(run, send_id="0" * 32).entries == ()


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
    waiting = [line.text for line in story_of(run).waiting]
    assert waiting == [
        f"an email due at {run.now:%Y-%m-%d %H:%M:%S} is deferred; it is evaluated again then",
        "waits for mail.opened, at most until then",
    ]
    assert "the frequency cap is reached (enough emails for now)" in " ".join(format_timeline(story_of(run)))


def test_a_code_that_is_waited_for() -> None:
    """The pool is named, and what became of it is told in words."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps: [{reward: {name: ten, pool: spring-10}}, {wait: 1d}, {send: {message: a}}]"
    )
    buy(run)
    assert [line.text for line in story_of(run).waiting] == ["waits for a code of pool spring-10, at most until then"]
    run.advance(DAY)
    assert "no code was left: the flow continued without one" in " ".join(format_timeline(story_of(run)))


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
    waiting = [(line.at - run.now, line.about, line.text) for line in story_of(run).waiting]
    assert waiting[0] == (4 * DAY, "", "starts then, before the launch of product tea-9")
    assert waiting[1][1:] == ("", "checks then whether to start: the customer may enter or leave the flow's segment")
    assert waiting[2][1:] == ("", "starts then, every year")


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
    assert (waiting.at, waiting.text) == (
        run.now + 30 * DAY,
        "continues then, or earlier or later if the time it waits for changes",
    )
    run.advance(10 * DAY)
    run.handle(OrderPlaced(order("o2", run.now, lines=lines), run.now))
    (waiting,) = story_of(run).waiting
    assert waiting.at == run.now + 10 * DAY
    text = " ".join(format_timeline(story_of(run)))
    assert "the time that the flow waits for has changed" in text
    assert f"continues at {waiting.at.isoformat()}" in text


def test_nobody() -> None:
    """Of a customer whom nobody ever told of, nothing is known; another's records are not theirs."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    assert not story_of(run, "c2").is_known
    assert story_of(run, "c2").entries == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_rule_is_explained(case: Any) -> None:
    """No case ends in a rule that has no words for people."""
    run = Driver(shop_ruleset())
    for at, facts in case.events_by_time():
        run.advance(timedelta(days=at) - (run.now - START))
        for fact in facts:
            sends = {mail.message: mail.send_id for mail in run.mails()}
            raw = CODEC.encode(SCHEMA_OF[fact.topic], fact.record("c1", run.now, sends))
            run.handle(DECODER.event(fact.topic, b"c1", raw, int(run.now.timestamp() * 1000)))
    run.advance(timedelta(days=case.days))
    assert {one.rule for one in run.effects if isinstance(one, LogDecision)} <= set(RULES)
