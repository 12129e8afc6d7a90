"""From effects to records: what is written comes back as it was, and carries its headers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.model.customer import OrderFacts, OrderState
from streams.core.model.effects import (
    Attribute,
    ClaimCode,
    Content,
    LogDecision,
    ResendMail,
    ScheduleTimer,
    SendMail,
    WithdrawClaim,
)
from streams.core.model.events import CodeGranted, MailBounced, MailReported, OrderLine, RetryDue, TimerFired
from streams.core.offers.code_pool_records import Claim, Withdrawal
from streams.core.sending.content import template_data
from streams.runtime.avro.codec import DecodeFailed
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.timers import timer_due
from streams.wire.encode.encoder import Encoder
from streams.wire.encode.journal import Slice
from streams.wire.validation import ValidationFailed
from tests.harness.records import AT, AT_MS, code_grant, timer

CODEC = open_codec()
DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
NOW = AT + timedelta(minutes=5)
FACTS = OrderFacts(
    "anna@example.org", "Anna", "da", "DK", "DK", "DKK", 50_000, AT, None, (OrderLine("s1", "Tea", "tea", 2, 25_000),)
)
CONTENT = Content("c1", "Anna", "da", "DK", 1, NOW, ZoneInfo("Europe/Copenhagen"), OrderState("o1", FACTS))
SEND = SendMail(
    send_id="s-1",
    customer_id="c1",
    instance_id="i1",
    flow="order-confirmation",
    flow_version=2,
    step="0",
    message="confirmation",
    purpose="order",
    priority=90,
    not_after=NOW + timedelta(days=1),
    to_address="anna@example.org",
    to_name="Anna",
    locale="da",
    time_zone="Europe/Copenhagen",
    country="DK",
    order_id="o1",
    content=CONTENT,
    tracking=True,
)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
words = st.text(st.characters(codec="utf-8"), max_size=20)
ids = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=40)


def read(output: ProducerRecord) -> dict[str, Any]:
    """The record of an output."""
    return CODEC.decode(topics.SCHEMA_OF[output[0]], output[2])


def header(output: ProducerRecord) -> dict[str, bytes]:
    """The headers of an output by name."""
    return dict(output[3])


def test_headers_follow_cloudevents() -> None:
    """Id, type, source, time and version, in the names of the Kafka binding; the id is the effect's own, so doing it again shows."""
    output = ENCODER.effects.encode(SEND, NOW)
    assert output[:2] == (topics.COMMANDS, b"c1")
    assert header(output) == {
        "ce_specversion": b"1.0",
        "ce_id": b"s-1.1",
        "ce_type": b"takk.EmailCommand",
        "ce_source": b"/takk",
        "ce_time": b"2026-03-27T12:35:00.005Z",
        "content-type": b"application/avro",
    }
    assert ENCODER.effects.encode(SEND, NOW) == output
    assert header(ENCODER.effects.encode(SEND, NOW + timedelta(seconds=1)))["ce_time"] == b"2026-03-27T12:35:01.005Z"


def test_a_claim_its_withdrawal_and_a_grant() -> None:
    """A claim and its withdrawal come to their pool, a grant to its customer; whole, and with an id of its own, made of the reward's."""
    claim = ClaimCode(
        reward_id="r1", customer_id="c1", pool="spring-10", flow="spring", flow_version=2, instance_id="i1", step="0", order_id=None,
        claimed_at=NOW, give_up_at=NOW + timedelta(days=1),
    )  # fmt: skip
    output = ENCODER.effects.encode(claim, NOW)
    assert (*output[:2], header(output)["ce_id"]) == (topics.CLAIMS, b"spring-10", b"r1.claimed")
    assert read(output) == {name: getattr(claim, name) for name in ClaimCode.__struct_fields__}
    assert DECODER.claim(output[2]) == Claim(
        "spring-10", "r1", "c1", "spring", 2, "i1", "0", None, NOW + timedelta(days=1)
    )
    given_up = WithdrawClaim(
        reward_id="r1", customer_id="c1", pool="spring-10", give_up_at=NOW + timedelta(days=1), withdrawn_at=NOW
    )
    output = ENCODER.effects.encode(given_up, NOW)
    assert (*output[:2], header(output)["ce_id"]) == (topics.CLAIM_WITHDRAWALS, b"spring-10", b"r1.withdrawn")
    assert read(output) == {name: getattr(given_up, name) for name in WithdrawClaim.__struct_fields__}
    assert DECODER.claim_withdrawal(output[2]) == Withdrawal("spring-10", "r1", NOW + timedelta(days=1))
    grant = CodeGranted(**code_grant())
    output = ENCODER.effects.grant(grant, NOW)
    assert (*output[:2], header(output)["ce_id"]) == (topics.GRANTS, b"c1", b"r1.granted")
    assert DECODER.event(topics.GRANTS, b"c1", output[2], AT_MS) == grant


def test_a_send_becomes_a_command() -> None:
    """Every field of the order to send arrives at the mailer, with the first attempt's number and the bytes themselves."""
    value = ENCODER.effects.encode(SEND, NOW)[2]
    command = DECODER.command(value)
    fields = [name for name in SendMail.__struct_fields__ if name != "content"]
    assert all(getattr(command, name) == getattr(SEND, name) for name in fields)
    assert command.context == template_data(SEND.content)
    assert command.context == template_data(SEND.content)
    assert (command.attempt, command.commanded_at, command.raw) == (1, NOW, value)


def test_what_no_topic_takes_is_refused() -> None:
    """An output of more than 4 MiB would end the worker at every start: its record is refused instead."""
    large = replace(SEND, content=replace(CONTENT, name="x" * 5_000_000))
    with pytest.raises(ValidationFailed, match="too_large"):
        ENCODER.effects.encode(large, NOW)


def test_a_mail_put_off_comes_back_as_its_next_attempt() -> None:
    """Timer, wake-up, command again: the same send, one attempt later, decided when it was decided first."""
    command = DECODER.command(ENCODER.effects.encode(SEND, NOW)[2])
    due = NOW + timedelta(minutes=10)
    topic, key, value, _ = ENCODER.reports.retry_timer(command, due)
    assert (topic, key) == (topics.DELAYS, b"c1")
    assert timer_due(value) == ("s-1.2", int(due.timestamp() * 1000))
    event = DECODER.event(topics.DUE, key, value, AT_MS)
    assert isinstance(event, RetryDue)
    assert (event.attempt, event.not_after, event.purpose) == (2, SEND.not_after, "order")
    resend = ResendMail(send_id="s-1", customer_id="c1", attempt=event.attempt, command=event.command)
    output = ENCODER.effects.encode(resend, due)
    again = DECODER.command(output[2])
    assert output[:2] == (topics.COMMANDS, b"c1")
    assert header(output)["ce_id"] == b"s-1.2"
    assert (again.send_id, again.attempt, again.commanded_at, again.context) == (
        "s-1",
        2,
        NOW,
        template_data(SEND.content),
    )


def test_what_the_mailer_reports() -> None:
    """Reports, bounces and decisions carry the send's origin; a report carries the time of the order too."""
    command = DECODER.command(ENCODER.effects.encode(SEND, NOW)[2])
    sent = ENCODER.reports.email_event(command, "sent", NOW, queue_id="Q1", status_code=250, reason="ok")
    assert (read(sent)["order_placed_at"], read(sent)["queue_id"], read(sent)["status_code"]) == (AT, "Q1", 250)
    assert DECODER.event(*sent[:3], AT_MS) == MailReported(
        customer_id="c1", send_id="s-1", outcome="sent", occurred_at=NOW
    )
    put_off = ENCODER.reports.email_event(
        command, "deferred", NOW, retry_at=NOW + timedelta(minutes=1), reason="x" * 900
    )
    assert read(put_off)["retry_at"] == NOW + timedelta(minutes=1)
    assert len(read(put_off)["reason"]) == 500
    bounce = ENCODER.reports.bounce(command, True, "550 5.1.1 no such user", NOW)
    assert bounce[0] == topics.ENGAGEMENT
    found = DECODER.event(*bounce[:3], AT_MS)
    assert isinstance(found, MailBounced)
    assert (found.hard, found.reason) == (True, "550 5.1.1 no such user")
    decision = read(ENCODER.reports.mail_decision(command, "skip", "expired", "past its time", NOW))
    assert (decision["rule"], decision["flow_version"], decision["send_id"]) == ("expired", 2, "s-1")


def test_a_mail_without_an_order_has_no_order_time() -> None:
    """A context without an order, or with a time that is none, is no error."""
    command = DECODER.command(ENCODER.effects.encode(SEND, NOW)[2])
    for context in ({}, {"order": None}, {"order": {"placed_at": "soon"}}, {"order": {"placed_at": "2026-01-01"}}):
        other = DECODER.command(CODEC.encode("email_command", {**_plain(command), "context": _json(context)}))
        assert read(ENCODER.reports.email_event(other, "sent", NOW))["order_placed_at"] is None


def _json(context: Any) -> str:
    import orjson

    return orjson.dumps(context).decode()


def _plain(command: Any) -> dict[str, Any]:
    return {name: getattr(command, name) for name in command.__struct_fields__}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"context": "not json"}, "bad_context"),
        ({"context": "[]"}, "bad_context"),
        ({"to_address": "a@b\r\nBcc: c@d"}, "bad_address"),
        ({"locale": "../da"}, "bad_locale"),
        ({"purpose": "spam"}, "unknown_kind"),
        ({"attempt": 0}, "bad_quantity"),
        ({"send_id": ""}, "bad_id"),
        ({"send_id": "a\nb"}, "bad_id"),
    ],
)
def test_a_command_is_checked_again(changes: dict[str, Any], rule: str) -> None:
    """What stands on the topic may have been written by anyone: no header is injected by it."""
    plain = _plain(DECODER.command(ENCODER.effects.encode(SEND, NOW)[2]))
    record = {**plain, "context": "{}", **changes}
    with pytest.raises(ValidationFailed) as error:
        DECODER.command(CODEC.encode("email_command", record))
    assert error.value.rule == rule


def test_a_decision_and_an_attribution_come_whole() -> None:
    """Every field of both is on its topic."""
    decision = LogDecision(
        decision_id="d1",
        customer_id="c1",
        flow="review",
        flow_version=1,
        instance_id="i1",
        step="1",
        outcome="skip",
        rule="unsubscribed",
        detail="no review mail",
        send_id=None,
        order_id="o1",
        decided_at=NOW,
    )
    output = ENCODER.effects.encode(decision, NOW)
    assert output[0] == topics.DECISIONS
    assert LogDecision(**read(output)) == decision
    attribution = Attribute(
        attribution_id="a1",
        customer_id="c1",
        kind="ordered",
        send_id="s-1",
        flow="review",
        flow_version=1,
        step="1",
        message="ask",
        order_id="o2",
        link=None,
        agent="unknown",
        revenue_minor=1 << 40,
        currency="DKK",
        occurred_at=AT,
    )
    output = ENCODER.effects.encode(attribution, NOW)
    assert output[0] == topics.ATTRIBUTED
    assert Attribute(**read(output)) == attribution


@settings(max_examples=100, deadline=None)
@given(st.builds(ScheduleTimer, timer_id=ids, customer_id=ids, instance_id=ids, flow=ids, step=words, due_at=moments))
def test_a_step_wakes_up_as_it_was_scheduled(effect: ScheduleTimer) -> None:
    """What the flows agent schedules, the scheduler reads the time of, and comes back as due."""
    topic, key, value, _ = ENCODER.effects.encode(effect, NOW)
    assert topic == topics.DELAYS
    assert timer_due(value) == (effect.timer_id, round(effect.due_at.timestamp() * 1000))
    event = DECODER.event(topics.DUE, key, value, AT_MS)
    assert isinstance(event, TimerFired)
    assert (event.timer_id, event.instance_id, event.step, event.due_at) == (
        effect.timer_id,
        effect.instance_id,
        effect.step,
        effect.due_at,
    )


@settings(max_examples=100, deadline=None)
@given(words, words, st.integers(0, 1 << 53), words)
def test_any_content_reaches_the_templates(name: str, title: str, minor: int, reward: str) -> None:
    """Whatever customers and shops write is what the renderer gets."""
    facts = replace(FACTS, lines=(OrderLine("s1", title, title, 1, minor),), total_minor=minor)
    send = replace(SEND, content=replace(CONTENT, name=name, order=OrderState("o1", facts), reward=reward))
    assert DECODER.command(ENCODER.effects.encode(send, NOW)[2]).context == template_data(send.content)
    assert template_data(send.content)["order"]["lines"][0]["unit_price"] == {"minor": minor, "currency": "DKK"}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40), st.sampled_from([b"\xc3\x01" + bytes(8), bytes(5), b""]))
def test_the_due_time_of_garbage(garbage: bytes, framing: bytes) -> None:
    """A timer's prefix is read from anything without another error than the two that become dead letters."""
    try:
        timer_id, due_ms = timer_due(framing + garbage)
    except (DecodeFailed, ValidationFailed):
        return
    assert timer_id
    assert 0 <= due_ms < 1 << 62


@pytest.mark.parametrize("due_ms", [-1, 1 << 45, (1 << 63) - 1])
def test_a_timer_that_would_never_fire_is_refused(due_ms: int) -> None:
    """Before 1970 and after 2100 there is nothing to wait for."""
    with pytest.raises(ValidationFailed, match="bad_time"):
        timer_due(CODEC.encode("timer", timer(due_at=due_ms)))


def test_a_timer_of_endless_numbers_costs_nothing() -> None:
    """A megabyte of continuation bytes is refused after the first ten."""
    with pytest.raises((DecodeFailed, ValidationFailed)):
        timer_due(bytes(5) + b"\xff" * 1_000_000)


def test_a_dead_letter_is_the_record_whole() -> None:
    """Key, value and headers unchanged, with where it lay and why it is dead; long details are cut."""
    output = ENCODER.journal.dead_letter(
        "orders",
        3,
        42,
        b"c1",
        b"\xff\x00",
        "not_avro",
        "d" * 2000,
        NOW,
        stage="flows",
        headers=[("h", b"1"), ("n", None)],
    )
    assert output[:2] == (topics.DEAD_LETTERS, b"c1")
    assert header(output)["ce_id"] == b"orders/3/42"
    assert read(output) == {
        "topic": "orders",
        "partition": 3,
        "offset": 42,
        "key": b"c1",
        "value": b"\xff\x00",
        "headers": [{"name": "h", "value": b"1"}, {"name": "n", "value": None}],
        "reason": "not_avro",
        "detail": "d" * 1000,
        "stage": "flows",
        "failed_at": NOW,
    }
    assert read(ENCODER.journal.dead_letter("orders", 0, 0, None, None, "no_value", "", NOW))["key"] is None


def test_a_checkpoint_says_what_was_read() -> None:
    """Slices and clock come back; without a count the slices' offsets are counted."""
    output = ENCODER.journal.checkpoint("flows", 2, NOW, [Slice("orders", 10, 19), ("flow-due", 5, 5)])
    assert output[:2] == (topics.CHECKPOINTS, b"flows/2")
    assert read(output) == {
        "agent": "flows",
        "partition": 2,
        "now": NOW,
        "slices": [{"topic": "orders", "first": 10, "last": 19}, {"topic": "flow-due", "first": 5, "last": 5}],
        "records": 11,
    }
    assert read(ENCODER.journal.checkpoint("flows", 2, NOW, [Slice("orders", 10, 19)], records=7))["records"] == 7


def test_an_effect_without_a_topic_is_a_mistake_of_the_program() -> None:
    """What this module does not know is not dropped."""
    with pytest.raises(TypeError, match="no topic for"):
        ENCODER.effects.encode(object(), NOW)  # type: ignore[arg-type] # on purpose
