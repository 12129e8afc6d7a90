"""The metrics of the mailer stage: outcomes, how late emails are handed over, and emails that are withdrawn too late."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from streams.agents.heartbeats import Heartbeat
from streams.agents.mail_reports import count_report, encode_safely
from streams.agents.mailer import MailerContext, late_withdrawals
from streams.core.values.addresses import address_hash, address_key
from streams.mail.delivery.ledger import VERSION, Entry, State, encode_entry
from streams.mail.delivery.marks import DeliveryMarks
from streams.mail.delivery.window import Lease
from streams.mail.report import Report
from streams.observability import metrics
from streams.runtime.kafka.partitioner import partition_of
from streams.wire import topics
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
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


class Store:
    """The ledger and the marks of one partition."""

    def __init__(self) -> None:
        self.ledger: dict[bytes, bytes] = {}
        self.marks: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return the entry of a send."""
        return self.ledger.get(key)

    def put_local(self, key: bytes, value: bytes | None) -> None:
        """Write a mark, or delete it."""
        if value is None:
            self.marks.pop(key, None)
        else:
            self.marks[key] = value

    def get_local(self, key: bytes) -> bytes | None:
        """Return the mark of `key`."""
        return self.marks.get(key)


class Owned:
    """A task of the mailer, with its store and its marks."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.store = Store()
        self.context = MailerContext(
            DeliveryMarks(self.store, "disk-1", "boot-1"), Heartbeat("heartbeat-0", 0), Lease(1.0)
        )

    def enter(self, send_id: str, state: State) -> None:
        """Enter a state into the ledger."""
        self.store.ledger[send_id.encode()] = encode_entry(Entry(state, 1, NOW))


PARTITIONS = 4
CUSTOMER = b"c1"
OWN = partition_of(CUSTOMER, PARTITIONS)


def late(task: Owned, send_id: str) -> float:
    """Withdraw an email of `CUSTOMER`; return how many withdrawals more are too late."""
    before = withdrawals("too_late")
    late_withdrawals(cast(Any, [task]), PARTITIONS)(CUSTOMER, send_id)
    return withdrawals("too_late") - before


def withdrawals(outcome: str) -> float:
    """Return the number of withdrawals with this outcome so far."""
    return metrics.REGISTRY.get_sample_value("takk_withdrawals_total", {"outcome": outcome}) or 0.0


def test_a_withdrawal_of_a_sent_email_is_too_late() -> None:
    """The ledger says that it was sent."""
    task = Owned(OWN)
    task.enter("s1", "sent")
    assert late(task, "s1") == 1


def test_a_withdrawal_between_acceptance_and_ledger_is_too_late() -> None:
    """The mark is written when the mail server accepts the email, before the ledger."""
    task = Owned(OWN)
    task.enter("s1", "in_flight")
    task.context.marks.mark_begun("s1")
    assert late(task, "s1") == 0
    task.context.marks.mark_accepted("s1", "Q1")
    assert late(task, "s1") == 1


@pytest.mark.parametrize("state", ["retry", "refused", "expired", "suppressed", "unknown", "in_flight"])
def test_other_withdrawals_are_not_too_late(state: State) -> None:
    """An email in any other state, or one that the mailer has not read yet, was not accepted."""
    task = Owned(OWN)
    task.enter("s1", state)
    assert (late(task, "s1"), late(task, "s2")) == (0, 0)


def test_an_entry_of_a_newer_mailer_raises_nothing() -> None:
    """A withdrawal takes effect although the ledger's entry cannot be read: it only does not count."""
    task = Owned(OWN)
    task.store.ledger[b"s1"] = bytes((VERSION + 1,))
    assert late(task, "s1") == 0


def test_only_the_owner_counts_a_late_withdrawal() -> None:
    """Every mailer reads all withdrawals. A mailer without the email's partition does not count it."""
    task = Owned((OWN + 1) % PARTITIONS)
    task.enter("s1", "sent")
    assert late(task, "s1") == 0


def test_a_suppressed_withdrawn_email_is_in_time() -> None:
    """Of the emails that the mailer does not send, only the withdrawn ones count as withdrawn in time."""
    before = withdrawals("in_time")
    for rule in ("withdrawn", "too_few_products"):
        count_report(Report(command=command(), outcome="suppressed", at=NOW, rule=rule))
    assert withdrawals("in_time") - before == 1


def test_an_email_of_a_test_order_counts_nowhere() -> None:
    """Neither the outcome nor the times of a test's email are counted."""
    sent = {"flow": "order-confirmation", "outcome": "sent"}
    before = metrics.REGISTRY.get_sample_value("takk_mails_total", sent)
    assert count(context={"order": {**ordered(5)["order"], "is_test": True}}) == ((0, 0), (0, 0))
    assert metrics.REGISTRY.get_sample_value("takk_mails_total", sent) == before


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
