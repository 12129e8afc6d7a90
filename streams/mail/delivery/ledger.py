"""The send ledger: the state of every send id, and the plan that follows from it. Pure.

Kafka has `in_flight` before any data leaves; the other states are outcomes. SMTP has no deduplication. A send found in flight after a crash
may have left, unless the marks on this disk prove otherwise (see marks.py), or the entry itself says that the server accepted it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from streams.core.model.versioned_codec import VersionedCodec
from streams.core.rules.consent_policy import is_transactional
from streams.mail.command import Command
from streams.mail.delivery.marks import CrashState

State: TypeAlias = Literal["in_flight", "sent", "refused", "retry", "expired", "suppressed", "unknown"]
#: The plan for a command:
#: send: send it; resend: send it again, although it may have left; abandon: report its outcome as unknown; expire: report that it is too
#: late; confirm: record that it was sent before the crash; skip: do nothing, the outcome is already recorded; wait: report that the server may
#: still answer; unanswered: report its outcome as unknown, since the server has not answered.
Plan: TypeAlias = Literal["send", "resend", "abandon", "expire", "confirm", "skip", "wait", "unanswered"]
VERSION = 1
#: In the place of a disk: the server has accepted the send in flight. An older mailer takes it for the name of another disk, and counts the
#: send as one that may have left.
ACCEPTED = "accepted"
#: The same for a send that may have left before, too.
ACCEPTED_AGAIN = "accepted-again"
#: In the place of the server's id of a send in flight: its data has left, its batch no longer waits for the answer, and the attempt of the
#: entry reports the outcome. An older mailer ignores it, and plans that attempt as it does after a crash.
UNANSWERED = "unanswered"
#: The same for a send that may have left before, too. There is no third copy.
UNANSWERED_AGAIN = "unanswered-again"
#: Seconds before the second attempt, doubled for each further attempt up to the longest backoff. Greylisting servers need some minutes.
FIRST_BACKOFF_S = 60
LONGEST_BACKOFF_S = 6 * 3600


class Entry(Struct, frozen=True, array_like=True):
    """The ledger's entry of a send.

    Attributes:
        state: the state.
        attempt: the attempt that reached it, from 1; for a send in flight whose batch no longer waits for its answer, the next one.
        at: when it was reached, UTC.
        queue_id: the mail server's id of the email, `UNANSWERED` or `UNANSWERED_AGAIN`.
        disk: for a send in flight, the name of the disk that has its mark, `ACCEPTED` or `ACCEPTED_AGAIN`; for one that was sent or has a
            retry, `ACCEPTED_AGAIN` if it may have left before, too.
    """

    state: State
    attempt: int
    at: datetime
    queue_id: str | None = None
    disk: str | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the server has accepted a send in flight. Its report is not published yet."""
        return self.state == "in_flight" and self.disk in (ACCEPTED, ACCEPTED_AGAIN)

    @property
    def is_unanswered(self) -> bool:
        """Whether the batch of a send in flight no longer waits for its answer."""
        return self.state == "in_flight" and not self.is_accepted and self.queue_id in (UNANSWERED, UNANSWERED_AGAIN)

    @property
    def is_resend(self) -> bool:
        """Whether an accepted, unanswered or deferred send may have left before, too."""
        return self.disk == ACCEPTED_AGAIN or (self.is_unanswered and self.queue_id == UNANSWERED_AGAIN)


_CODEC: VersionedCodec[Entry] = VersionedCodec(Entry, "ledger entry", VERSION)
encode_entry = _CODEC.encode
decode_entry = _CODEC.decode


def plan_delivery(
    entry: Entry | None, command: Command, now: datetime, crash_state: CrashState, *, is_waiting: bool = False
) -> Plan:
    """Return what to do with a command.

    Args:
        entry: the ledger's entry of its send id, or None.
        command: the command.
        now: the current time, UTC.
        crash_state: for a send in flight, how far it may have come before the crash.
        is_waiting: whether this process still waits for the server's answer to it.
    """
    if entry is not None:
        if entry.state == "in_flight":
            # The send of an earlier attempt is judged in the same way: its batch has not waited for the answer.
            if is_waiting:
                return "wait"
            if crash_state == "accepted" or entry.is_accepted:
                return "confirm"
            if crash_state == "begun":
                if is_transactional(command.purpose) and now <= command.not_after and not entry.is_resend:
                    return "resend"
                return "unanswered" if entry.is_unanswered else "abandon"
        elif not (entry.state == "retry" and entry.attempt < command.attempt):
            return "skip"
        elif entry.is_resend:
            return "resend" if now <= command.not_after else "unanswered"
    return "expire" if now > command.not_after else "send"


def in_doubt(entry: Entry | None) -> Entry | None:
    """Return the entry to continue from after finding `entry` uncommitted: a send that may have left stays in flight. None for any other.

    An uncommitted outcome has no report. A send that was accepted needs one; one that was not is sent as if it had never been tried.
    """
    if entry is None or entry.state not in ("in_flight", "sent", "unknown"):
        return None
    return replace(entry, state="in_flight", disk=(entry.disk or ACCEPTED) if entry.state == "sent" else entry.disk)


def retry_at(
    command: Command, now: datetime, scale: float = 1.0, *, longest_s: int = LONGEST_BACKOFF_S
) -> datetime | None:
    """Return the time of the next attempt after a 4xx, or None if it would be after `not_after`.

    The backoff doubles with each attempt. A hash of the send id spreads it, so that a thousand emails are not retried at once.

    Args:
        command: the command of the failed attempt.
        now: the current time, UTC.
        scale: factor of the backoff.
        longest_s: the longest backoff in seconds.
    """
    seconds = min(FIRST_BACKOFF_S * 2 ** (command.attempt - 1), longest_s)
    spread = int.from_bytes(hashlib.blake2b(command.send_id.encode(), digest_size=2).digest(), "big") / 65536
    due = now + timedelta(seconds=seconds * (0.75 + spread / 2) * scale)
    return due if due <= command.not_after else None
