"""The ledger's rules: what may be sent, again, never, later."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streams.mail.delivery.ledger import Entry, Plan, State, decode_entry, encode_entry, plan_delivery, retry_at
from streams.mail.delivery.local_notes import CrashState
from tests.harness.commands import NOW, command

LATE = NOW + timedelta(days=3)


def test_entries_come_back() -> None:
    """An entry is read as it was written; bytes of a later version are refused, not misread."""
    entry = Entry("sent", 2, NOW, "4Q1")
    assert decode_entry(encode_entry(entry)) == entry
    with pytest.raises(ValueError, match="newer"):
        decode_entry(b"\x02" + encode_entry(entry)[1:])


@pytest.mark.parametrize(
    ("state", "of", "attempt", "crash_state", "purpose", "plan"),
    [
        (None, 0, 1, "none", "order", "send"),
        ("sent", 1, 1, "begun", "order", "skip"),
        ("sent", 1, 2, "begun", "order", "skip"),
        ("refused", 1, 1, "none", "order", "skip"),
        ("expired", 1, 1, "none", "order", "skip"),
        ("unknown", 1, 1, "begun", "order", "skip"),
        ("retry", 1, 1, "none", "order", "skip"),
        ("retry", 1, 2, "none", "order", "send"),
        ("in_flight", 1, 1, "none", "order", "send"),
        ("in_flight", 1, 1, "none", "marketing", "send"),
        ("in_flight", 1, 1, "begun", "order", "resend"),
        ("in_flight", 1, 1, "begun", "service", "resend"),
        ("in_flight", 1, 1, "begun", "review", "abandon"),
        ("in_flight", 1, 1, "begun", "marketing", "abandon"),
        ("in_flight", 1, 1, "accepted", "order", "confirm"),
        ("in_flight", 1, 1, "accepted", "marketing", "confirm"),
    ],
)
def test_decide(state: State | None, of: int, attempt: int, crash_state: CrashState, purpose: str, plan: Plan) -> None:
    """Each state of the ledger allows exactly one thing."""
    entry = None if state is None else Entry(state, of, NOW)
    assert plan_delivery(entry, command(attempt=attempt, purpose=purpose), NOW, crash_state) == plan


def test_late_mail_is_not_sent() -> None:
    """After `not_after` a mail expires; one that may have left is given up as unknown, since nobody knows that it did not."""
    assert plan_delivery(None, command(), LATE, "none") == "expire"
    assert plan_delivery(Entry("retry", 1, NOW), command(attempt=2), LATE, "none") == "expire"
    assert plan_delivery(Entry("in_flight", 1, NOW), command(), LATE, "begun") == "abandon"


def test_backoff_doubles_and_is_spread() -> None:
    """The waits double from about a minute to some hours, differ between sends, and are the same for the same send."""
    waits = []
    for attempt in range(1, 12):
        due = retry_at(command(attempt=attempt, not_after=NOW + timedelta(days=9)), NOW)
        assert due is not None
        waits.append((due - NOW).total_seconds())
    assert 45 <= waits[0] <= 75
    assert waits[1] == pytest.approx(2 * waits[0])
    assert waits[-1] == waits[-2] <= 6 * 3600 * 1.25
    first = {retry_at(command(send_id=f"s{number}"), NOW) for number in range(50)}
    assert len(first) > 40


def test_no_attempt_after_the_end() -> None:
    """A wait that would end after `not_after` is none."""
    assert retry_at(command(not_after=NOW + timedelta(seconds=30)), NOW) is None
