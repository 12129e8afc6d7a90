"""The records of email addresses: what happened to them, and what mailers must know of them."""

from __future__ import annotations

import re

from streams.core.model.address_state import Suppression
from streams.core.model.effects import NoteAddress
from streams.core.values.addresses import HASH_BYTES
from streams.wire.validation import MAX_ID, Record, ValidationFailed, parse_id, parse_text, parse_time

_HASH = re.compile(f"[0-9a-f]{{{2 * HASH_BYTES}}}")


def to_address_event(record: Record) -> NoteAddress:
    """Return the event of a record. A kind that this version does not know is left to the handler. Raise ValidationFailed."""
    check_hash(record["address"])
    if record["kind"] == "sent" and record["send_id"] is None:
        raise ValidationFailed("missing_field", "an email that was sent has a send_id")
    if record["send_id"] is not None:
        parse_id(record, "send_id")
    for field in ("event_id", "scope", "reason", "purpose"):
        record[field] = parse_text(record[field], field, MAX_ID)
    record["occurred_at"] = parse_time(record["occurred_at"], "occurred_at", None)
    return NoteAddress(**record)


def to_suppression(record: Record) -> tuple[str, Suppression]:
    """Return the hash of an address, and what mailers must know of it. Raise ValidationFailed."""
    check_hash(record["address"])
    until = record["limited_until"]
    suppression = Suppression(
        tuple([(each["purpose"], each["rule"]) for each in record["suppressed"]]),
        tuple([(each["purpose"], parse_time(each["until"], "until", None)) for each in record["capped"]]),
        None if until is None else parse_time(until, "limited_until", None),
    )
    return record["address"], suppression


def check_hash(value: str) -> None:
    """Raise ValidationFailed (`bad_id`) unless `value` is the hash of an address."""
    if not _HASH.fullmatch(value):
        raise ValidationFailed("bad_id", f"address is not a hash of {2 * HASH_BYTES} hexadecimal digits")
