"""The outcomes of attempts: the report that follows from the mail server's answer to an email."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec import structs

from streams.core.model.person_events import ERASED
from streams.core.rules.consent_policy import has_opt_out
from streams.mail.attempt import Refusal, Trouble
from streams.mail.command import Command
from streams.mail.delivery.bounces import BounceClass, classify
from streams.mail.delivery.ledger import retry_at
from streams.mail.delivery.providers import provider_of
from streams.mail.delivery.smtp.answers import Refused
from streams.mail.newer_templates import describe_problem
from streams.mail.report import Report

R = TypeVar("R")


def withdrawn_by(withdrawn: Mapping[str, str], command: Command) -> str | None:
    """Return the rule that withdraws an email, or None. An email about an order is withdrawn only if its customer was erased.

    Args:
        withdrawn: send id -> rule.
        command: the command to send it.
    """
    rule = withdrawn.get(command.send_id)
    return rule if rule == ERASED or has_opt_out(command.purpose) else None


def report_accepted(command: Command, at: datetime, queue_id: str | None, *, is_resend: bool) -> Report:
    """Return the report of an email that the server has accepted.

    Args:
        command: the command to send it.
        at: when the server accepted it, UTC.
        queue_id: the server's id of the email, or None.
        is_resend: whether the email may have left before, too.
    """
    rule = "sent_again" if is_resend else "accepted"
    return Report(command=command, outcome="sent", at=at, rule=rule, queue_id=queue_id, code=250, is_resend=is_resend)


def report_refusal(
    command: Command, answer: Refused, bounce: BounceClass, at: datetime, backoff_scale: float
) -> Report:
    """Return the report of an email that the server refused for reasons of its own: a 4xx code defers it, a 5xx code ends it.

    Args:
        command: the command to send it.
        answer: the refusal.
        bounce: the meaning of the refusal for the address.
        at: when the server refused it, UTC.
        backoff_scale: factor of the backoff before the next attempt.
    """
    text = refusal_text(answer, bounce)
    if not answer.is_final:
        return report_deferred(command, at, text, answer.code, backoff_scale, rule="4xx")
    return Report(
        command=command,
        outcome="refused",
        at=at,
        rule="5xx",
        text=text,
        code=answer.code,
        is_hard=bounce.is_hard,
        is_bounce=not bounce.is_sender_fault,
    )


def report_trouble(command: Command, trouble: Trouble, at: datetime, backoff_scale: float) -> Report:
    """Return the report of an email whose trouble is its own, or its provider's with the sender: it waits for its retry.

    Args:
        command: the command to send it.
        trouble: the newest trouble.
        at: the current time, UTC.
        backoff_scale: factor of the backoff before the next attempt.
    """
    answer = trouble.answer
    if isinstance(answer, Refused):
        bounce = classify(answer.code, answer.text, answer.phase, provider_of(command.to_address))
        text = refusal_text(answer, bounce)
        report = report_deferred(command, at, text, answer.code, backoff_scale, rule="refused_us")
    else:
        report = report_deferred(command, at, answer.text, answer.code, backoff_scale, rule="no_answer")
    return _report_of_second_copy(report) if trouble.plan == "resend" else report


def report_unanswered(command: Command, at: datetime, seconds: float, *, is_resend: bool) -> Report:
    """Return the report of an email that the server may still accept: its data has left, and its batch no longer waits for the answer.

    It has a retry even if that is after `not_after`: the retry reports the outcome.

    Args:
        command: the command to send it.
        at: the current time, UTC.
        seconds: the time until the retry.
        is_resend: whether the email may have left before, too.
    """
    return Report(
        command=command,
        outcome="deferred",
        at=at,
        rule="no_answer",
        text="no answer to the whole email yet",
        retry_at=at + timedelta(seconds=seconds),
        is_resend=is_resend,
        is_unanswered=True,
    )


def report_unrenderable(command: Command, at: datetime, problem: str) -> Report:
    """Return the report of an email that cannot be rendered because of `problem`."""
    text = describe_problem(command, problem)
    return Report(command=command, outcome="refused", at=at, rule="unrenderable", text=text)


def report_deferred(
    command: Command, at: datetime, text: str, code: int | None, backoff_scale: float, *, rule: str
) -> Report:
    """Return the report of an email that waits for its next attempt, or that has no attempt left.

    Args:
        command: the command to send it.
        at: when the last attempt ended, UTC.
        text: why it failed: the server's text.
        code: the SMTP reply code, or None without a reply.
        backoff_scale: factor of the backoff before the next attempt.
        rule: the rule of a deferred email.
    """
    due = retry_at(command, at, backoff_scale)
    if due is not None:
        return Report(command=command, outcome="deferred", at=at, rule=rule, text=text, code=code, retry_at=due)
    return Report(command=command, outcome="refused", at=at, rule="gave_up", text=text, code=code)


def refusal_text(answer: Refused, bounce: BounceClass) -> str:
    """Return the text of a refusal in a report: its reason, then the server's text."""
    return f"{bounce.reason}: {answer.text}"


def report_held(command: Command, at: datetime, backoff_scale: float) -> Report:
    """Return the report of an email that waits until the brand names a company, or that can wait no longer.

    Args:
        command: the command to send it.
        at: the current time, UTC.
        backoff_scale: factor of the backoff before the next attempt.
    """
    due = retry_at(command, at, backoff_scale)
    return Report(
        command=command,
        outcome="suppressed" if due is None else "deferred",
        at=at,
        rule="example_brand",
        text="the legal lines of shared/brand.yaml are those of the example",
        retry_at=due,
    )


def result_of_second_copy(result: R) -> R | Report | Refusal:
    """Return the result of an attempt to send a second copy. The first copy may have arrived.

    If the second copy is not sent, whatever the reason, the outcome of the email stays unknown. If it is deferred, the ledger keeps that. Only a
    refusal by the mail server (rule 5xx) stands: it is about the address or the content, which the first copy had as well.

    Args:
        result: a report, a refusal that is not decided, or anything else, which is returned.
    """
    if isinstance(result, Report):
        return _report_of_second_copy(result)
    if isinstance(result, Refusal):
        return replace(result, deferred=_report_of_second_copy(result.deferred))
    return result


def _report_of_second_copy(report: Report) -> Report:
    if report.outcome == "deferred":
        return structs.replace(report, is_resend=True)
    if report.outcome in ("refused", "suppressed", "expired") and report.rule != "5xx":
        return structs.replace(report, outcome="unknown")
    return report
