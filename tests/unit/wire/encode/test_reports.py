"""Encoding of the mailer's reports."""

from __future__ import annotations

from datetime import timedelta

import orjson
from msgspec.structs import asdict

from streams.core.model.effects import (
    ResendMail,
)
from streams.core.model.events import MailBounced, MailReported, RetryDue
from streams.core.sending.content import template_data
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.timers import timer_due
from streams.wire.encode.encoder import Encoder
from tests.harness.effects import CODEC, NOW, SEND, headers, read
from tests.harness.records import AT, AT_MS

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)


def test_a_deferred_email_is_sent_again_as_its_next_attempt() -> None:
    """The retry timer carries the command. The next command has the same send id and decision time, and the next attempt."""
    command = DECODER.command(ENCODER.effects.encode(SEND, NOW).value)
    due = NOW + timedelta(minutes=10)
    topic, key, value, _ = ENCODER.reports.retry_timer(command, due)
    assert (topic, key) == (topics.DELAYS, b"c1")
    assert timer_due(value) == ("s-1.2", int(due.timestamp() * 1000))
    event = DECODER.event(topics.DUE, key, value, AT_MS)
    assert isinstance(event, RetryDue)
    assert (event.attempt, event.not_after, event.purpose) == (2, SEND.not_after, "order")
    resend = ResendMail(send_id="s-1", customer_id="c1", attempt=event.attempt, command=event.command)
    record = ENCODER.effects.encode(resend, due)
    again = DECODER.command(record.value)
    assert (record.topic, record.key) == (topics.COMMANDS, b"c1")
    assert headers(record)["ce_id"] == b"s-1.2"
    assert (again.send_id, again.attempt, again.commanded_at, again.context) == (
        "s-1",
        2,
        NOW,
        template_data(SEND.content),
    )


def test_the_retry_of_an_email_may_be_due_after_its_expiry() -> None:
    """A retry that only finds out whether an email was sent fires also after `not_after`. Its command keeps its own."""
    command = DECODER.command(ENCODER.effects.encode(SEND, NOW).value)
    due = SEND.not_after + timedelta(minutes=1)
    for expires_at in (due, due - timedelta(days=9)):
        _, key, value, _ = ENCODER.reports.retry_timer(command, due, expires_at=expires_at)
        event = DECODER.event(topics.DUE, key, value, AT_MS)
        assert isinstance(event, RetryDue)
        assert event.not_after == max(expires_at, SEND.not_after)
        assert DECODER.command(event.command).not_after == SEND.not_after


def test_reports_carry_the_origin_of_the_send() -> None:
    """Outcomes, bounces and decisions carry the flow and the send id. An outcome also carries the time of the order."""
    command = DECODER.command(ENCODER.effects.encode(SEND, NOW).value)
    sent = ENCODER.reports.email_event(command, "sent", NOW, queue_id="Q1", status_code=250, reason="ok")
    assert (read(sent)["order_placed_at"], read(sent)["queue_id"], read(sent)["status_code"]) == (AT, "Q1", 250)
    assert DECODER.event(*sent[:3], AT_MS) == MailReported(
        customer_id="c1", send_id="s-1", outcome="sent", occurred_at=NOW
    )
    deferred = ENCODER.reports.email_event(
        command, "deferred", NOW, retry_at=NOW + timedelta(minutes=1), reason="x" * 900
    )
    assert read(deferred)["retry_at"] == NOW + timedelta(minutes=1)
    assert len(read(deferred)["reason"]) == 500
    bounce = ENCODER.reports.bounce(command, True, "550 5.1.1 no such user", NOW)
    assert bounce[0] == topics.ENGAGEMENT
    event = DECODER.event(*bounce[:3], AT_MS)
    assert isinstance(event, MailBounced)
    assert (event.hard, event.reason) == (True, "550 5.1.1 no such user")
    decision = read(ENCODER.reports.mail_decision(command, "skip", "expired", "past its time", NOW))
    assert (decision["rule"], decision["flow_version"], decision["send_id"]) == ("expired", 2, "s-1")


def test_an_outcome_without_an_order_has_no_order_time() -> None:
    """A context without an order, or with an invalid time, leaves the time of the order empty."""
    command = DECODER.command(ENCODER.effects.encode(SEND, NOW).value)
    for context in ({}, {"order": None}, {"order": {"placed_at": "soon"}}, {"order": {"placed_at": "2026-01-01"}}):
        other = DECODER.command(
            CODEC.encode("email_command", {**asdict(command), "context": orjson.dumps(context).decode()})
        )
        assert read(ENCODER.reports.email_event(other, "sent", NOW))["order_placed_at"] is None
