"""The records that the mailer reads: commands and withdrawals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from streams.core.model.effects import WithdrawMail
from streams.core.rules.consent_policy import PURPOSES
from streams.core.values.local_time import utc_from_ms
from streams.mail.command import Command
from streams.wire.topics import DUE_AT_HEADER
from streams.wire.validation import (
    LATEST_MS,
    MAX_TEXT,
    Record,
    ValidationFailed,
    check_locale,
    check_number,
    parse_email,
    parse_id,
    parse_text,
    parse_time,
)

_NAMES = ("instance_id", "flow", "step", "message", "time_zone", "country", "order_id", "attach")


def to_command(record: Record, raw: bytes, due_at: datetime | None) -> Command:
    """Return the command of a record; `raw` is the record's encoded value, `due_at` its `due_at_of`. Raise ValidationFailed."""
    for field in ("customer_id", "send_id"):
        parse_id(record, field)
    record["to_address"] = parse_email(record["to_address"], "to_address")
    record["to_name"] = parse_text(record["to_name"], "to_name")
    check_locale(record["locale"])
    if record["purpose"] not in PURPOSES:
        raise ValidationFailed("unknown_kind", "unknown purpose")
    # Reports and timers repeat these texts on topics with Kafka's default limit.
    for field in _NAMES:
        if record[field] is not None and len(record[field]) > MAX_TEXT:
            raise ValidationFailed("too_long", f"{field}: {len(record[field])} characters, {MAX_TEXT} at most")
    check_number(record["attempt"], "attempt")
    for field in ("not_after", "commanded_at"):
        record[field] = parse_time(record[field], field, None)
    command = Command(context_json=record.pop("context"), **record, raw=raw, due_at=due_at)
    try:
        command.facts  # noqa: B018 - reads the context
    except ValueError:
        raise ValidationFailed("bad_context", "context is not a JSON object") from None
    return command


def due_at_of(headers: Iterable[tuple[str, bytes | None]] | None) -> datetime | None:
    """Return the due time (UTC) in the headers of a command, or None if they have no valid one."""
    for name, value in headers or ():
        if name == DUE_AT_HEADER and value and value.isdigit() and len(value) <= len(str(LATEST_MS)):
            due_ms = int(value)
            return utc_from_ms(due_ms) if 0 < due_ms < LATEST_MS else None
    return None


def to_mail_withdrawal(record: Record) -> WithdrawMail:
    """Return the withdrawal of a record. Raise ValidationFailed."""
    record["withdrawn_at"] = parse_time(record["withdrawn_at"], "withdrawn_at", None)
    return WithdrawMail(**record)
