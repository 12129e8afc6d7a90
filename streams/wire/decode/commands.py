"""The records that the mailer reads: commands and withdrawals."""

from __future__ import annotations

import orjson

from streams.core.model.effects import WithdrawMail
from streams.core.rules.consent_policy import PURPOSES
from streams.mail.command import Command
from streams.wire.validation import (
    Record,
    ValidationFailed,
    check_address,
    check_locale,
    parse_id,
    parse_text,
    parse_time,
)


def to_command(record: Record, raw: bytes) -> Command:
    """Return the command of a record; `raw` is the record's encoded value. Raise ValidationFailed."""
    for field in ("customer_id", "send_id"):
        parse_id(record, field)
    check_address(record["to_address"], "to_address")
    record["to_name"] = parse_text(record["to_name"], "to_name")
    check_locale(record["locale"])
    if record["purpose"] not in PURPOSES:
        raise ValidationFailed("unknown_kind", "unknown purpose")
    if record["attempt"] < 1:
        raise ValidationFailed("bad_quantity", "attempt is below 1")
    try:
        context = orjson.loads(record["context"])
    except orjson.JSONDecodeError:
        raise ValidationFailed("bad_context", "context is not JSON") from None
    if not isinstance(context, dict):
        raise ValidationFailed("bad_context", "context is not a JSON object")
    record["context"] = context
    for field in ("not_after", "commanded_at"):
        record[field] = parse_time(record[field], field, None)
    return Command(**record, raw=raw)


def to_mail_withdrawal(record: Record) -> WithdrawMail:
    """Return the withdrawal of a record. Raise ValidationFailed."""
    record["withdrawn_at"] = parse_time(record["withdrawn_at"], "withdrawn_at", None)
    return WithdrawMail(**record)
