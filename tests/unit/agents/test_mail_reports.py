"""The metrics and the records of the mailer's reports: outcomes, and how late emails are handed over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streams.agents.mail_reports import count_report, encode_safely
from streams.core.values.addresses import address_hash, address_key
from streams.mail.outcomes import report_unanswered
from streams.mail.report import Report
from streams.observability import metrics
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from tests.harness.agents import CODEC
from tests.harness.commands import NOW, command

MINUTE = timedelta(minutes=1)


class Observed:
    """The observations of a histogram for one flow since this object was made."""

    def __init__(self, name: str, flow: str) -> None:
        self._name, self._labels = name, {"flow": flow}
        self._before = self._sample()

    def _sample(self) -> tuple[float, float]:
        names = (f"{self._name}_count", f"{self._name}_sum")
        count, total = (metrics.REGISTRY.get_sample_value(name, self._labels) or 0.0 for name in names)
        return count, total

    def __call__(self) -> tuple[int, float]:
        """The number of observations and their sum in seconds."""
        count, total = self._sample()
        return round(count - self._before[0]), round(total - self._before[1], 3)


def count(outcome: Any = "sent", **changes: Any) -> tuple[tuple[int, float], tuple[int, float]]:
    """Count a report of 10 minutes after `NOW`; return what the handover and the order-to-email histograms observed."""
    flow = "order-confirmation"
    handover, order = Observed("takk_handover_seconds", flow), Observed("takk_order_to_email_seconds", flow)
    count_report(Report(command=command(flow=flow, **changes), outcome=outcome, at=NOW + 10 * MINUTE, rule="accepted"))
    return handover(), order()


def ordered(minutes_before: float) -> dict[str, Any]:
    """The context of an email about an order placed before `NOW`."""
    return {"order": {"placed_at": (NOW - minutes_before * MINUTE).isoformat()}}


def test_handover_counts_from_the_due_time() -> None:
    """An accepted email counts from its due time, or without one from the time of its decision."""
    assert count(due_at=NOW + 4 * MINUTE)[0] == (1, 360)
    assert count()[0] == (1, 600)


def test_handover_is_never_negative() -> None:
    """A clock that is ahead of the mailer's gives 0 seconds: a histogram takes no negative values."""
    assert count(due_at=NOW + 20 * MINUTE, context=ordered(-20)) == ((1, 0), (1, 0))


@pytest.mark.parametrize("outcome", ["refused", "deferred", "expired", "suppressed", "unknown"])
def test_only_accepted_emails_are_handed_over(outcome: str) -> None:
    """Any other outcome observes nothing."""
    assert count(outcome, due_at=NOW, context=ordered(1)) == ((0, 0), (0, 0))


def test_order_to_email_counts_from_the_order() -> None:
    """An email of the purpose order counts from the placing of its order; others, and those without an order, do not count."""
    assert count(context=ordered(5))[1] == (1, 900)
    assert count(context=ordered(5), purpose="review")[1] == (0, 0)
    assert count(context={})[1] == (0, 0)


def withdrawals(outcome: str) -> float:
    """Return the number of withdrawals with this outcome so far."""
    return metrics.REGISTRY.get_sample_value("takk_withdrawals_total", {"outcome": outcome}) or 0.0


def test_a_suppressed_withdrawn_email_is_in_time() -> None:
    """Of the emails that the mailer does not send, only the withdrawn ones count as withdrawn in time."""
    before = withdrawals("in_time")
    for rule in ("withdrawn", "too_few_products"):
        count_report(Report(command=command(), outcome="suppressed", at=NOW, rule=rule))
    assert withdrawals("in_time") - before == 1


def test_outcomes_by_message_and_rule() -> None:
    """Each report counts for its flow and its message, and for its flow and its rule."""
    flow, outcome = "order-confirmation", "refused"
    counters = {
        "takk_mails_total": {"flow": flow, "outcome": outcome},
        "takk_messages_total": {"flow": flow, "message": "confirmation", "outcome": outcome},
        "takk_mail_rules_total": {"flow": flow, "outcome": outcome, "rule": "5xx"},
    }

    def values() -> list[float]:
        return [metrics.REGISTRY.get_sample_value(name, labels) or 0.0 for name, labels in counters.items()]

    before = values()
    sent = command(flow=flow, message="confirmation")
    count_report(Report(command=sent, outcome="refused", at=NOW, rule="5xx"))
    assert values() == [value + 1 for value in before]


@pytest.mark.parametrize("is_resend", [True, False])
def test_an_unanswered_email(is_resend: bool) -> None:
    """It counts as deferred and not yet as one in doubt. Its retry fires although the email expires before it."""
    sent = command(not_after=NOW + MINUTE, raw=b"command")
    name, flow = "takk_sends_unknown_total", {"flow": sent.flow}

    def in_doubt() -> list[float | None]:
        return [
            metrics.REGISTRY.get_sample_value(name, flow | {"action": action}) for action in ("sent_again", "given_up")
        ]

    before, report = in_doubt(), report_unanswered(sent, NOW, 660.0, is_resend=is_resend)
    count_report(report)
    assert in_doubt() == before
    records = {topic: value for topic, _, value, _ in encode_safely(Encoder(CODEC), b"", report)}
    assert records.keys() == {topics.EVENTS, topics.DELAYS}
    timer = CODEC.decode("timer", records[topics.DELAYS] or b"")
    assert (timer["due_at"], timer["attempt"]) == (NOW + 11 * MINUTE, 2)
    assert timer["not_after"] > timer["due_at"]


def test_an_email_of_a_test_order_counts_nowhere() -> None:
    """Neither the outcome nor the times of a test's email are counted."""
    sent = {"flow": "order-confirmation", "outcome": "sent"}
    before = metrics.REGISTRY.get_sample_value("takk_mails_total", sent)
    assert count(context={"order": {**ordered(5)["order"], "is_test": True}}) == ((0, 0), (0, 0))
    assert metrics.REGISTRY.get_sample_value("takk_mails_total", sent) == before


@pytest.mark.parametrize(
    ("outcome", "fields", "kind"),
    [
        ("sent", {}, "sent"),
        ("unknown", {}, "sent"),
        ("refused", {"is_bounce": True, "is_hard": True}, "bounced_hard"),
        ("refused", {"is_bounce": True}, None),
        ("deferred", {}, None),
        ("suppressed", {}, None),
    ],
)
def test_what_happened_to_the_address_is_published(outcome: Any, fields: dict[str, Any], kind: str | None) -> None:
    """An email that was or may have been sent counts for its address from the time of its command, and a missing mailbox is noted.

    Without a key nothing is published.
    """
    codec, key = open_codec(), address_key(b"a secret of the shop, long enough")
    sent = command(to_address="ANNA@post.example", attempt=2)
    report = Report(command=sent, outcome=outcome, at=NOW + MINUTE, rule="r", **fields)
    written = [record for record in encode_safely(Encoder(codec), key, report) if record.topic == topics.ADDRESS_EVENTS]
    events = [Decoder(codec).address_event(record.value) for record in written]
    address = address_hash(key, "anna@post.example").hex()
    assert [(event.kind, event.address, event.send_id) for event in events] == ([(kind, address, "s1")] if kind else [])
    assert [record.key for record in written] == [address.encode() for _ in written]
    if kind == "sent":
        assert (events[0].occurred_at, events[0].purpose, events[0].is_transactional) == (NOW, "order", True)
    assert not [
        record for record in encode_safely(Encoder(codec), b"", report) if record.topic == topics.ADDRESS_EVENTS
    ]
