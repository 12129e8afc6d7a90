"""Counts of the mail server's answers, by the provider of the recipient."""

from __future__ import annotations

from functools import cache
from typing import Any

from streams.mail.delivery.providers import Provider, provider_of
from streams.mail.delivery.smtp.answers import Accepted, Answer, Refused, Unknown
from streams.observability import metrics


def count_answer(recipient: str, answer: Answer) -> None:
    """Count the answer for an email to `recipient`. No label contains the address."""
    provider = provider_of(recipient)
    _answer_counter(provider, _outcome(answer)).inc()
    if isinstance(answer, Refused):
        kind = "permanent" if answer.is_final else "temporary"
        metrics.SMTP_REFUSALS.labels(provider, answer.bounce_class.reason, kind).inc()


def count_seconds(answer: Answer, seconds: float) -> None:
    """Observe the time from the envelope of an email to its answer."""
    _seconds_histogram(_outcome(answer)).observe(seconds)


@cache  # bounded like the labels; `labels` is slower
def _answer_counter(provider: Provider, outcome: str) -> Any:
    return metrics.SMTP_ANSWERS.labels(provider, outcome)


@cache
def _seconds_histogram(outcome: str) -> Any:
    return metrics.SMTP_SECONDS.labels(outcome)


def _outcome(answer: Answer) -> str:
    if isinstance(answer, Refused):
        return "refused" if answer.is_final else "deferred"
    if isinstance(answer, Accepted):
        return "accepted"
    return "unknown" if isinstance(answer, Unknown) else "down"
