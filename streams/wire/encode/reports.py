"""Encoding of the mailer's reports: outcomes, bounces, decisions and retry timers."""

from __future__ import annotations

from datetime import datetime

from streams.core.model.effects import DecisionOutcome, LogDecision
from streams.core.model.events import MailOutcome
from streams.mail.command import Command
from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.encode.effects import EffectEncoder
from streams.wire.encode.envelope import Envelope
from streams.wire.validation import MAX_TEXT

#: The fields of an email event that are attributes of its command, and the others.
_FIELDS_OF_COMMAND = (
    "send_id", "customer_id", "instance_id", "flow", "flow_version", "step", "message", "purpose", "order_id", "attempt", "order_placed_at",
    "commanded_at",
)  # fmt: skip
_FIELDS_OF_EVENT = ("event_id", "outcome", "queue_id", "status_code", "reason", "retry_at", "occurred_at")


class ReportEncoder:
    """Encodes what the mailer did with a command."""

    def __init__(self, codec: Codec, envelope: Envelope, effects: EffectEncoder) -> None:
        self._envelope = envelope
        self._effects = effects
        self._write_event = codec.writer("email_event", _FIELDS_OF_COMMAND, given=_FIELDS_OF_EVENT)

    def retry_timer(
        self, command: Command, due_at: datetime, now: datetime | None = None, *, expires_at: datetime | None = None
    ) -> ProducerRecord:
        """Encode the timer that sends a command again, as its next attempt.

        Args:
            command: the command.
            due_at: the time of the next attempt, UTC.
            now: the time of the header, UTC; `due_at` if None.
            expires_at: the time after which it no longer fires, UTC, if that is later than the command's `not_after`.
        """
        attempt = command.attempt + 1
        timer_id = f"{command.send_id}.{attempt}"
        record = {
            "timer_id": timer_id,
            "due_at": due_at,
            "customer_id": command.customer_id,
            "kind": "retry",
            "instance_id": command.instance_id,
            "flow": command.flow,
            "step": command.step,
            "send_id": command.send_id,
            "attempt": attempt,
            "purpose": command.purpose,
            "not_after": max(command.not_after, expires_at or command.not_after),
            "command": command.raw,
        }
        return self._envelope.record(topics.DELAYS, "timer", command.customer_id, timer_id, record, now or due_at)

    def email_event(
        self,
        command: Command,
        outcome: MailOutcome,
        at: datetime,
        *,
        queue_id: str | None = None,
        status_code: int | None = None,
        reason: str = "",
        retry_at: datetime | None = None,
    ) -> ProducerRecord:
        """Encode the outcome of a command.

        Args:
            command: the command.
            outcome: the outcome.
            at: the time of the outcome, UTC.
            queue_id: the mail server's id of the email.
            status_code: the server's SMTP reply code.
            reason: the server's text or the rule that decided, without addresses. It is cut at `MAX_TEXT` characters.
            retry_at: the time of the next attempt, UTC, of a `deferred` email.
        """
        event_id = f"{command.send_id}.{command.attempt}.{outcome}"
        value = self._write_event(command, event_id, outcome, queue_id, status_code, reason[:MAX_TEXT], retry_at, at)
        return self._envelope.framed(topics.EVENTS, "email_event", command.customer_id, event_id, value, at)

    def bounce(self, command: Command, hard: bool, reason: str, at: datetime) -> ProducerRecord:
        """Encode a bounce as engagement. `hard` means that the address is dead; `reason` and `at` as in `email_event`."""
        record = {
            "customer_id": command.customer_id,
            "send_id": command.send_id,
            "kind": "bounced",
            "occurred_at": at,
            "hard": hard,
            "reason": reason[:MAX_TEXT],
        }
        event_id = f"{command.send_id}.{command.attempt}.bounced"
        return self._envelope.record(topics.ENGAGEMENT, "engagement", command.customer_id, event_id, record, at)

    def mail_decision(
        self, command: Command, outcome: DecisionOutcome, rule: str, detail: str, at: datetime
    ) -> ProducerRecord:
        """Encode a decision of the mailer.

        Args:
            command: the command.
            outcome: the decision.
            rule: the rule that decided.
            detail: an explanation without personal data.
            at: the time of the decision, UTC.
        """
        decision = LogDecision(
            decision_id=f"{command.send_id}.{command.attempt}.{rule}",
            customer_id=command.customer_id,
            flow=command.flow,
            flow_version=command.flow_version,
            instance_id=command.instance_id,
            step=command.step,
            outcome=outcome,
            rule=rule,
            detail=detail,
            send_id=command.send_id,
            order_id=command.order_id,
            decided_at=at,
        )
        return self._effects.encode(decision, at)
