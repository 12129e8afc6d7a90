"""The records and the metrics of the mailer's reports."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import structlog
from msgspec.structs import replace

from streams.core.values.addresses import address_hash
from streams.mail.address_check import COUNTED, bounced_event, sent_event
from streams.mail.report import Report
from streams.observability import metrics
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire.encode.encoder import Encoder

log = structlog.get_logger(__name__)

#: The time after its retry in which an unanswered email is returned to the mailer, although it has expired: only the mailer knows whether it
#: was sent. A worker may be down for days.
_LATEST = timedelta(days=7)


def encode_report(encoder: Encoder, report: Report, address_key: bytes = b"") -> Iterator[ProducerRecord]:
    """Return the records of a report: the outcome, and a retry timer, a bounce, a decision or an event of the address if it has one.

    Args:
        encoder: the encoder.
        report: the report.
        address_key: the key of the hashes of addresses; without it there are no events of addresses.
    """
    command, at = report.command, report.at
    reason = report.text or report.rule
    yield encoder.reports.email_event(
        command,
        report.outcome,
        at,
        queue_id=report.queue_id,
        status_code=report.code,
        reason=reason,
        retry_at=report.retry_at,
    )
    if report.retry_at is not None:
        expires_at = report.retry_at + _LATEST if report.is_unanswered else None
        yield encoder.reports.retry_timer(command, report.retry_at, at, expires_at=expires_at)
    if report.is_bounce:
        yield encoder.reports.bounce(command, report.is_hard, reason, at)
    if report.outcome not in ("sent", "deferred"):
        yield encoder.reports.mail_decision(command, "skip", report.rule, reason, at)
    if address_key and report.outcome in COUNTED:
        yield encoder.addresses.event(sent_event(address_hash(address_key, command.to_address), command), at)
    elif address_key and report.is_hard:
        yield encoder.addresses.event(bounced_event(address_hash(address_key, command.to_address), command, at), at)


def encode_safely(encoder: Encoder, address_key: bytes, report: Report) -> list[ProducerRecord]:
    """Return the records of a report. A report that cannot be encoded loses its details: it must not stop the reports of others."""
    for is_whole in (True, False):
        try:
            shown = report if is_whole else replace(report, text="", code=None, queue_id=None)
            return list(encode_report(encoder, shown, address_key))
        except Exception as error:
            log.exception(
                "a report cannot be encoded",
                send_id=report.command.send_id,
                rule=report.rule,
                error=type(error).__name__,
            )
    return []


def count_report(report: Report) -> None:
    """Count the outcome of a command, and how late the email was if the mail server accepted it. A test counts nowhere."""
    command, flow = report.command, report.command.flow
    if command.is_test:
        return
    for counter in _outcome_counters(flow, command.message, report.outcome, report.rule):
        counter.inc()
    if report.outcome == "sent":
        _handover(flow).observe(_seconds(command.due_at or command.commanded_at, report.at))
        placed_at = command.order_placed_at if command.purpose == "order" else None
        if placed_at is not None:
            _order_to_email(flow).observe(_seconds(placed_at, report.at))
    if report.rule == "withdrawn" and report.outcome == "suppressed":
        metrics.WITHDRAWALS.labels("in_time").inc()
    if (report.is_resend and report.outcome == "sent") or report.outcome == "unknown":
        metrics.SENDS_UNKNOWN.labels(flow, "sent_again" if report.is_resend else "given_up").inc()


@cache  # bounded like the labels; `labels` is slower
def _outcome_counters(flow: str, message: str, outcome: str, rule: str) -> tuple[Any, ...]:
    return (
        metrics.MAILS.labels(flow, outcome),
        metrics.MESSAGES.labels(flow, message, outcome),
        metrics.MAIL_RULES.labels(flow, outcome, rule),
    )


_handover = cache(metrics.HANDOVER.labels)
_order_to_email = cache(metrics.ORDER_TO_EMAIL.labels)


def _seconds(start: datetime, end: datetime) -> float:
    """Return the seconds from `start` to `end`, at least 0: the two clocks may differ."""
    return max(0.0, (end - start).total_seconds())
