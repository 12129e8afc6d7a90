"""The send ledger: what is known of every send id, and what that allows. Pure.

`in_flight` is in Kafka before any data leaves; the other states say how it ended. SMTP has no deduplication, so a send found in flight
after a crash may or may not have left, unless this disk's notes know better.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct

from streams.core.model.consent_policy import is_transactional
from streams.core.model.versioned_codec import VersionedCodec
from streams.mail.command import Command
from streams.mail.delivery.local_notes import Trace

State: TypeAlias = Literal["in_flight", "sent", "refused", "retry", "expired", "suppressed", "unknown"]
Plan: TypeAlias = Literal["send", "send_again", "give_up", "expire", "settle", "nothing"]
VERSION = 1
#: Seconds before the second attempt; doubled each time up to the longest: a greylisting server wants some minutes.
FIRST_BACKOFF_S = 60
LONGEST_BACKOFF_S = 6 * 3600


class Entry(Struct, frozen=True, array_like=True):
    """What is known of a send: its state, the attempt it is about, since when, the server's own name for the mail, and for one in flight
    the disk that has notes of it (see notes.py)."""

    state: State
    attempt: int
    at: datetime
    queue_id: str | None = None
    disk: str | None = None


_CODEC: VersionedCodec[Entry] = VersionedCodec(Entry, "ledger entry", VERSION)
encode_entry = _CODEC.encode
decode_entry = _CODEC.decode


def decide(entry: Entry | None, command: Command, now: datetime, trace: Trace) -> Plan:
    """What to do with a command; "settle" is to write down that it was sent.

    Args:
        entry: what the ledger knows of its send id.
        command: the command.
        now: UTC.
        trace: for a send in flight: how far it may have come before the crash.
    """
    if entry is not None:
        if entry.state == "in_flight" and entry.attempt >= command.attempt:
            if trace == "accepted":
                return "settle"
            if trace == "begun":
                return "send_again" if is_transactional(command.purpose) and now <= command.not_after else "give_up"
        elif not (entry.state == "retry" and entry.attempt < command.attempt):
            return "nothing"
    return "expire" if now > command.not_after else "send"


def retry_at(command: Command, now: datetime, scale: float = 1.0) -> datetime | None:
    """When to try again after a 4xx; None when that would be later than the mail may leave.

    The backoff doubles with the attempts, spread by a hash of the send id so that a thousand mails do not return at once.
    """
    seconds = min(FIRST_BACKOFF_S * 2 ** (command.attempt - 1), LONGEST_BACKOFF_S)
    spread = int.from_bytes(hashlib.blake2b(command.send_id.encode(), digest_size=2).digest(), "big") / 65536
    due = now + timedelta(seconds=seconds * (0.75 + spread / 2) * scale)
    return due if due <= command.not_after else None
