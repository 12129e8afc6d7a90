"""The plans of the ledger, and the backoff of retries."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streams.mail.delivery.ledger import (
    ACCEPTED_AGAIN,
    UNANSWERED,
    UNANSWERED_AGAIN,
    Entry,
    Plan,
    State,
    decode_entry,
    encode_entry,
    in_doubt,
    plan_delivery,
    retry_at,
)
from streams.mail.delivery.marks import CrashState
from tests.harness.commands import NOW, command

LATE = NOW + timedelta(days=3)


def test_entries_round_trip() -> None:
    """An entry is decoded as it was encoded. Bytes of a newer version are rejected."""
    entry = Entry("sent", 2, NOW, "4Q1")
    assert decode_entry(encode_entry(entry)) == entry
    with pytest.raises(ValueError, match="newer"):
        decode_entry(b"\x02" + encode_entry(entry)[1:])


@pytest.mark.parametrize(
    ("state", "recorded", "attempt", "crash_state", "purpose", "plan"),
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
def test_plan_delivery(
    state: State | None, recorded: int, attempt: int, crash_state: CrashState, purpose: str, plan: Plan
) -> None:
    """Each state of the ledger leads to one plan."""
    entry = None if state is None else Entry(state, recorded, NOW)
    assert plan_delivery(entry, command(attempt=attempt, purpose=purpose), NOW, crash_state) == plan


@pytest.mark.parametrize(
    ("crash_state", "purpose", "first", "second"),
    [
        ("accepted", "order", "confirm", "confirm"),
        ("accepted", "review", "confirm", "confirm"),
        ("begun", "order", "resend", "unanswered"),
        ("begun", "service", "resend", "unanswered"),
        ("begun", "review", "unanswered", "unanswered"),
        ("none", "order", "send", "send"),
        ("none", "review", "send", "send"),
    ],
)
@pytest.mark.parametrize("recorded", [1, 2])
def test_the_retry_of_an_unanswered_email(
    crash_state: CrashState, purpose: str, first: Plan, second: Plan, recorded: int
) -> None:
    """The retry judges the send in flight by its mark, whichever attempt the entry has. A second copy is the last one."""
    retry = command(attempt=2, purpose=purpose)
    for queue_id, plan in ((UNANSWERED, first), (UNANSWERED_AGAIN, second)):
        entry = decode_entry(encode_entry(Entry("in_flight", recorded, NOW, queue_id, "disk")))
        assert plan_delivery(entry, retry, NOW, crash_state) == plan
        assert plan_delivery(entry, retry, NOW, crash_state, is_waiting=True) == "wait"
        assert plan_delivery(in_doubt(entry), command(purpose=purpose), NOW, crash_state) == plan


@pytest.mark.parametrize(
    ("crash_state", "plan"), [("accepted", "confirm"), ("begun", "unanswered"), ("none", "expire")]
)
def test_an_expired_unanswered_email(crash_state: CrashState, plan: Plan) -> None:
    """An email that may have left keeps its own outcome after `not_after`."""
    entry = Entry("in_flight", 2, NOW, UNANSWERED, "disk")
    assert plan_delivery(entry, command(attempt=2), LATE, crash_state) == plan


def test_the_retry_of_a_second_copy() -> None:
    """It is a second copy again, and too late its outcome is unknown; the same attempt is skipped."""
    entry = decode_entry(encode_entry(Entry("retry", 1, NOW, None, ACCEPTED_AGAIN)))
    assert plan_delivery(entry, command(attempt=2), NOW, "none") == "resend"
    assert plan_delivery(entry, command(attempt=2), LATE, "none") == "unanswered"
    assert plan_delivery(entry, command(), NOW, "none") == "skip"


def test_a_late_email_is_not_sent() -> None:
    """After `not_after` an email expires. An email that may have left is abandoned instead: its outcome is unknown."""
    assert plan_delivery(None, command(), LATE, "none") == "expire"
    assert plan_delivery(Entry("retry", 1, NOW), command(attempt=2), LATE, "none") == "expire"
    assert plan_delivery(Entry("in_flight", 1, NOW), command(), LATE, "begun") == "abandon"


def test_backoff_doubles_and_is_spread() -> None:
    """The backoff doubles from about a minute to some hours. It differs between sends and is constant for each send."""
    backoffs = []
    for attempt in range(1, 12):
        due = retry_at(command(attempt=attempt, not_after=NOW + timedelta(days=9)), NOW)
        assert due is not None
        backoffs.append((due - NOW).total_seconds())
    assert 45 <= backoffs[0] <= 75
    assert backoffs[1] == pytest.approx(2 * backoffs[0])
    assert backoffs[-1] == backoffs[-2] <= 6 * 3600 * 1.25
    first = {retry_at(command(send_id=f"s{number}"), NOW) for number in range(50)}
    assert len(first) > 40


def test_no_attempt_after_the_deadline() -> None:
    """A retry that would be after `not_after` has no time."""
    assert retry_at(command(not_after=NOW + timedelta(seconds=30)), NOW) is None
