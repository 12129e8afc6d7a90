"""Encoding of effects: each arrives unchanged at its reader."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core.model.effects import (
    Attribute,
    ClaimCode,
    EndMail,
    LogDecision,
    ScheduleTimer,
    SendMail,
    WithdrawClaim,
)
from streams.core.model.events import CodeGranted, MailReported, OrderLine, TimerFired
from streams.core.model.orders.order_state import OrderState
from streams.core.offers.code_pool_records import Claim, Withdrawal
from streams.core.sending.content import template_data
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.timers import timer_due
from streams.wire.encode.encoder import Encoder
from streams.wire.validation import ValidationFailed
from tests.harness.effects import CODEC, CONTENT, FACTS, NOW, SEND, headers, read
from tests.harness.examples import examples
from tests.harness.records import AT, AT_MS, code_grant

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
times = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001 - limits
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
ids = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=40)


def test_headers_follow_cloudevents() -> None:
    """Id, type, source, time and version have the names of the Kafka binding. The id is the effect's, so a repetition has the same id."""
    record = ENCODER.effects.encode(SEND, NOW)
    assert (record.topic, record.key) == (topics.COMMANDS, b"c1")
    assert headers(record) == {
        "ce_specversion": b"1.0",
        "ce_id": b"s-1.1",
        "ce_type": b"takk.EmailCommand",
        "ce_source": b"/takk",
        "ce_time": b"2026-03-27T12:35:00.005Z",
        "content-type": b"application/avro",
    }
    assert ENCODER.effects.encode(SEND, NOW) == record
    assert headers(ENCODER.effects.encode(SEND, NOW + timedelta(seconds=1)))["ce_time"] == b"2026-03-27T12:35:01.005Z"


def test_the_end_of_a_deferred_email() -> None:
    """It has all fields of a report of the mailer, and is read as one."""
    end = EndMail(
        event_id="s-1.2.not_retried", send_id="s-1", customer_id="c1", flow="spring", flow_version=2, step="0", message="hello",
        purpose="marketing", order_id="o1", attempt=2, outcome="suppressed", reason="no_consent", commanded_at=NOW, occurred_at=NOW,
    )  # fmt: skip
    record = ENCODER.effects.encode(end, NOW)
    assert (record.topic, record.key, headers(record)["ce_id"]) == (topics.EVENTS, b"c1", b"s-1.2.not_retried")
    fields = {name: getattr(end, name) for name in EndMail.__struct_fields__}
    assert read(record) == fields | dict.fromkeys(("queue_id", "status_code", "retry_at", "order_placed_at"))
    assert DECODER.event(record.topic, record.key, record.value, 0) == MailReported(
        customer_id="c1", send_id="s-1", outcome="suppressed", occurred_at=NOW
    )


def test_claim_withdrawal_and_grant() -> None:
    """A claim and its withdrawal have the pool as key, a grant the customer. Each arrives unchanged; its id contains the reward's id."""
    claim = ClaimCode(
        reward_id="r1", customer_id="c1", pool="spring-10", flow="spring", flow_version=2, instance_id="i1", step="0", order_id=None,
        claimed_at=NOW, give_up_at=NOW + timedelta(days=1),
    )  # fmt: skip
    record = ENCODER.effects.encode(claim, NOW)
    assert (record.topic, record.key, headers(record)["ce_id"]) == (topics.CLAIMS, b"spring-10", b"r1.claimed")
    assert read(record) == {name: getattr(claim, name) for name in ClaimCode.__struct_fields__}
    assert DECODER.claim(record.value) == Claim(
        "spring-10", "r1", "c1", "spring", 2, "i1", "0", None, NOW + timedelta(days=1)
    )
    withdrawal = WithdrawClaim(
        reward_id="r1", customer_id="c1", pool="spring-10", give_up_at=NOW + timedelta(days=1), withdrawn_at=NOW
    )
    record = ENCODER.effects.encode(withdrawal, NOW)
    assert (record.topic, record.key, headers(record)["ce_id"]) == (
        topics.CLAIM_WITHDRAWALS,
        b"spring-10",
        b"r1.withdrawn",
    )
    assert read(record) == {name: getattr(withdrawal, name) for name in WithdrawClaim.__struct_fields__}
    assert DECODER.claim_withdrawal(record.value) == Withdrawal("spring-10", "r1", NOW + timedelta(days=1))
    grant = CodeGranted(**code_grant())
    record = ENCODER.effects.grant(grant, NOW)
    assert (record.topic, record.key, headers(record)["ce_id"]) == (topics.GRANTS, b"c1", b"r1.granted")
    assert DECODER.event(topics.GRANTS, b"c1", record.value, AT_MS) == grant


def test_a_send_becomes_a_command() -> None:
    """Every field of a send arrives at the mailer, with the attempt 1 and the encoded value."""
    value = ENCODER.effects.encode(SEND, NOW).value
    command = DECODER.command(value)
    fields = [name for name in SendMail.__struct_fields__ if name != "content"]
    assert all(getattr(command, name) == getattr(SEND, name) for name in fields)
    assert command.context == template_data(SEND.content)
    assert (command.attempt, command.commanded_at, command.raw) == (1, NOW, value)


def test_a_large_record_is_rejected() -> None:
    """A record of more than 4 MiB is a ValidationFailed: the broker would reject it, and the worker would fail at every start."""
    large = replace(SEND, content=replace(CONTENT, name="x" * 5_000_000))
    with pytest.raises(ValidationFailed, match="too_large"):
        ENCODER.effects.encode(large, NOW)


def test_decision_and_attribution() -> None:
    """Both arrive on their topics with all fields."""
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
    record = ENCODER.effects.encode(decision, NOW)
    assert record.topic == topics.DECISIONS
    assert LogDecision(**read(record)) == decision
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
    record = ENCODER.effects.encode(attribution, NOW)
    assert record.topic == topics.ATTRIBUTED
    assert Attribute(**read(record)) == attribution


@settings(max_examples=examples(100), deadline=None)
@given(st.builds(ScheduleTimer, timer_id=ids, customer_id=ids, instance_id=ids, flow=ids, step=texts, due_at=times))
def test_a_timer_fires_as_it_was_scheduled(effect: ScheduleTimer) -> None:
    """The scheduler reads the due time of a scheduled timer, and the flows stage decodes the fired timer unchanged."""
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


@settings(max_examples=examples(100), deadline=None)
@given(texts, texts, st.integers(0, 1 << 53), texts)
def test_any_content_reaches_the_templates(name: str, title: str, minor: int, reward: str) -> None:
    """The renderer receives all texts of customers and shops unchanged."""
    facts = replace(FACTS, lines=(OrderLine("s1", title, title, 1, minor),), total_minor=minor)
    send = replace(SEND, content=replace(CONTENT, name=name, order=OrderState("o1", facts), reward=reward))
    assert DECODER.command(ENCODER.effects.encode(send, NOW).value).context == template_data(send.content)
    assert template_data(send.content)["order"]["lines"][0]["unit_price"] == {"minor": minor, "currency": "DKK"}


def test_an_unknown_effect_is_an_error() -> None:
    """An effect without a topic raises TypeError; it is not dropped."""
    with pytest.raises(TypeError, match="no topic for"):
        ENCODER.effects.encode(object(), NOW)  # type: ignore[arg-type] # on purpose
