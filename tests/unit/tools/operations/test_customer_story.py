"""`takk why`: the timeline of a customer, from the decisions of the real core."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streams.core.model.clicks import HOLD
from streams.core.model.effects import LogDecision
from streams.core.model.events import CustomerMerged, MailClicked, OrderLine, OrderPlaced, OrderRefunded, ProductBrowsed
from streams.core.model.person_events import ProfileUpdated
from streams.tools.operations.customer_story import build_timeline
from streams.tools.operations.dead_letters import DeadLetter
from streams.tools.operations.rule_texts import RULES
from streams.tools.operations.timeline_text import format_timeline
from streams.wire.topics import SCHEMA_OF
from tests.driver.cases import CASES
from tests.harness.driver import START, Driver
from tests.harness.events import order, shipment, shop_ruleset
from tests.harness.flow_texts import DAY, buy, flow_text, ruleset_of, run_of
from tests.harness.timelines import CODEC, DECODER, records, timeline_of


def test_sent_and_waiting_emails() -> None:
    """A confirmation, a review that a refund prevented, and a thank-you that waits; each once, in the order of time."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    run.advance(2 * DAY)
    run.handle(shipment("o1", "delivered", run.now), OrderRefunded(order("o1", run.now), run.now))
    run.advance(3 * DAY)
    run.handle(OrderPlaced(order("o2", run.now), run.now))
    timeline = timeline_of(run)
    assert timeline.is_known
    assert [(entry.flow, entry.what, entry.order_id) for entry in timeline.entries] == [
        ("order-confirmation", "send", "o1"),
        ("thank-you", "send", "o1"),
        ("review", "exit", "o1"),
        ("order-confirmation", "send", "o2"),
    ]
    assert [(entry.flow, entry.order_id, entry.at - run.now) for entry in timeline.waiting] == [
        ("thank-you", "o2", DAY)
    ]
    lines = format_timeline(timeline)
    assert lines[0] == "c1: 4 entries, 1 waiting (times in UTC)"
    assert "review step 1 of order o1: the order was refunded (left the flow: order.refunded)" in lines[3]
    assert not any(word in " ".join(lines) for word in ("anna", "Anna", "example.com"))


def test_one_send() -> None:
    """With a send id, only its flow instance and its engagement are listed."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    run.advance(2 * DAY)
    thanks = run.mails()[-1]
    click = {"link": "https://shop.example/", "agent": "human", "occurred_at": run.now}
    run.handle(MailClicked(customer_id="c1", send_id=thanks.send_id, **click))
    run.advance(HOLD)
    assert [(line.flow, line.what) for line in timeline_of(run, send_id=thanks.send_id).entries] == [
        ("thank-you", "send"),
        ("thank-you", "clicked"),
    ]
    assert timeline_of(run, send_id=thanks.send_id).is_known
    assert not timeline_of(run, send_id="0" * 32).is_known
    assert timeline_of(run, send_id="0" * 32).entries == ()


def letter(reason: str, offset: int, run: Driver) -> DeadLetter:
    """A dead letter of an order."""
    return DeadLetter(
        topic="orders",
        partition=3,
        offset=offset,
        key=b"c1",
        value=b"?",
        headers=(),
        reason=reason,
        detail="the field currency",
        stage="flows",
        failed_at=run.now,
    )


def test_dead_letters() -> None:
    """A dead letter is an entry with its place and reason. If it cannot be decoded, the entry says that only its key is known."""
    run = Driver(shop_ruleset())
    letters = [letter("bad_currency", 7, run), letter("truncated", 8, run)]
    timeline = build_timeline("c1", [], None, letters=letters)
    assert timeline.is_known
    assert [(entry.what, entry.about, entry.at) for entry in timeline.entries] == [
        ("rejected", "record orders/3/7", run.now),
        ("rejected", "record orders/3/8", run.now),
    ]
    first, second = (entry.text for entry in timeline.entries)
    assert first == "stage flows could not process it (bad_currency: the field currency)"
    assert second.endswith("its content cannot be read, but its key is this customer")


def test_only_the_newest_entries() -> None:
    """With a limit, the newest entries remain, and a line says how many are not shown and how to see them."""
    run = Driver(shop_ruleset())
    for number in range(4):
        run.handle(OrderPlaced(order(f"o{number}", run.now), run.now))
        run.advance(DAY)
    every = timeline_of(run)
    some = build_timeline("c1", records(run), run.customers["c1"], limit=3)
    assert some.entries == every.entries[-3:]
    assert some.waiting == every.waiting
    assert some.omitted == len(every.entries) - 3
    assert f"{some.omitted} older entries are not shown: add --all" in format_timeline(some)[1]
    assert not any("not shown" in line for line in format_timeline(every))


def test_a_deferred_email() -> None:
    """A deferred email has its due time; a flow that waits for an event names the event."""
    capped = "trigger: {on: order.placed}\nsteps: [{send: {message: a, expires: 9d}}, {wait_for: {event: mail.opened, up_to: 3d}}]"
    run = Driver(
        ruleset_of(
            *(flow_text(capped, name=name, purpose="marketing") for name in ("f", "g")),
            rules="caps: [{most: 1, per: 2d}]",
        )
    )
    buy(run)
    waiting = [line.text for line in timeline_of(run).waiting]
    assert waiting == [
        f"an email due at {run.now:%Y-%m-%d %H:%M:%S} is deferred; it is evaluated again then",
        "waits for mail.opened, at most until then",
    ]
    assert "the frequency cap is reached (enough emails for now)" in " ".join(format_timeline(timeline_of(run)))


def test_a_flow_that_waits_for_a_code() -> None:
    """The pool is named, and later the result."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps: [{reward: {name: ten, pool: spring-10}}, {wait: 1d}, {send: {message: a}}]"
    )
    buy(run)
    assert [line.text for line in timeline_of(run).waiting] == [
        "waits for a code of pool spring-10, at most until then"
    ]
    run.advance(DAY)
    assert "no code was left: the flow continued without one" in " ".join(format_timeline(timeline_of(run)))


def test_flows_that_have_not_started() -> None:
    """A launch names its product and the start of the flow; a birthday repeats, and a segment is checked."""
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
    waiting = [(line.at - run.now, line.about, line.text) for line in timeline_of(run).waiting]
    assert waiting[0] == (4 * DAY, "", "starts then, before the launch of product tea-9")
    assert waiting[1][1:] == ("", "checks then whether to start: its segment or threshold may then apply")
    assert waiting[2][1:] == ("", "starts then, every year")


def test_a_target_time_that_changes() -> None:
    """The waiting entry says that the time may change; after the change, an entry names the new time."""
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
    (waiting,) = timeline_of(run).waiting
    assert (waiting.at, waiting.text) == (
        run.now + 30 * DAY,
        "continues then, or earlier or later if the time it waits for changes",
    )
    run.advance(10 * DAY)
    run.handle(OrderPlaced(order("o2", run.now, lines=lines), run.now))
    (waiting,) = timeline_of(run).waiting
    assert waiting.at == run.now + 10 * DAY
    text = " ".join(format_timeline(timeline_of(run)))
    assert "the time that the flow waits for has changed" in text
    assert f"continues at {waiting.at.isoformat()}" in text


def test_an_unknown_customer() -> None:
    """A customer without records and state is unknown; records of other customers are ignored."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", run.now), run.now))
    assert not timeline_of(run, "c2").is_known
    assert timeline_of(run, "c2").entries == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_rule_is_explained(case: Any) -> None:
    """Every rule in the decisions of the cases has a text."""
    run = Driver(shop_ruleset())
    for at, events in case.events_by_time():
        run.advance(timedelta(days=at) - (run.now - START))
        for event in events:
            sends = {mail.message: mail.send_id for mail in run.mails()}
            raw = CODEC.encode(SCHEMA_OF[event.topic], event.record("c1", run.now, sends))
            run.handle(DECODER.event(event.topic, b"c1", raw, int(run.now.timestamp() * 1000)))
    run.advance(timedelta(days=case.days))
    assert {one.rule for one in run.effects if isinstance(one, LogDecision)} <= set(RULES)


def test_a_merged_customer() -> None:
    """`takk why` of the old id says which customer it is now, and that of the customer which other ids it had."""
    run = Driver(shop_ruleset())
    run.handle(OrderPlaced(order("o1", run.now, customer_id="guest-1"), run.now))
    run.handle(CustomerMerged(customer_id="guest-1", into="c1", occurred_at=run.now))
    old, new = timeline_of(run, "guest-1"), timeline_of(run, "c1")
    assert (old.merged_into, old.merged_ids, old.waiting) == ("c1", (), ())
    assert (new.merged_into, new.merged_ids) == ("", ("guest-1",))
    assert [entry.flow for entry in new.waiting] == ["thank-you"]
    for timeline, other in ((old, "this customer is now c1"), (new, "this customer was also guest-1")):
        assert other in format_timeline(timeline)[1]
        assert [entry.what for entry in timeline.entries if "merged" in entry.text] == ["note"]
