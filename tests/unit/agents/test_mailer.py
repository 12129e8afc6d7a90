"""The mailer stage: emails that are withdrawn too late."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import pytest

from streams.agents.heartbeats import Heartbeat
from streams.agents.ledger_retention import LedgerRetention
from streams.agents.mailer import MailerContext, late_withdrawals
from streams.mail.delivery.ledger import VERSION, Entry, State, encode_entry
from streams.mail.delivery.marks import DeliveryMarks
from streams.mail.delivery.window import Lease
from streams.observability import metrics
from streams.runtime.kafka.partitioner import partition_of
from tests.harness.commands import NOW


class Store:
    """The ledger and the marks of one partition."""

    is_open = True

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

    def delete_local(self, keys: Iterable[bytes]) -> None:
        """Delete marks."""
        for key in keys:
            self.marks.pop(key, None)

    def get_local(self, key: bytes) -> bytes | None:
        """Return the mark of `key`."""
        return self.marks.get(key)


class Owned:
    """A task of the mailer, with its store and its marks."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.store = Store()
        self.context = MailerContext(
            DeliveryMarks(self.store, "disk-1", "boot-1"),
            Heartbeat("heartbeat-0", 0),
            Lease(1.0),
            cast(LedgerRetention, None),
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
