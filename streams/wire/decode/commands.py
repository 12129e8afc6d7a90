"""From the records that the mailer reads to commands and withdrawals, and what a command's context says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

import orjson

from streams.core.model.consent_policy import Purpose
from streams.core.model.effects import WithdrawMail
from streams.mail.command import Command
from streams.wire.validation import Record, ValidationFailed, check_address, check_locale, take_id, take_text, take_time

_PURPOSES = frozenset(get_args(Purpose))


def command_of(record: Record, raw: bytes) -> Command:
    """The command of a record; `raw` is what it was decoded from. Raises ValidationFailed."""
    for field in ("customer_id", "send_id"):
        take_id(record, field)
    check_address(record["to_address"], "to_address")
    record["to_name"] = take_text(record["to_name"], "to_name")
    check_locale(record["locale"])
    if record["purpose"] not in _PURPOSES:
        raise ValidationFailed("unknown_kind", "a purpose that this version does not know")
    if record["attempt"] < 1:
        raise ValidationFailed("bad_quantity", "attempt is below 1")
    try:
        context = orjson.loads(record["context"])
    except orjson.JSONDecodeError:
        raise ValidationFailed("bad_context", "context is not JSON") from None
    if not isinstance(context, dict):
        raise ValidationFailed("bad_context", "context is JSON, but not an object")
    record["context"] = context
    for field in ("not_after", "commanded_at"):
        record[field] = take_time(record[field], field, None)
    return Command(**record, raw=raw)


def withdrawal_of(record: Record) -> WithdrawMail:
    """The withdrawal of a record. Raises ValidationFailed."""
    record["withdrawn_at"] = take_time(record["withdrawn_at"], "withdrawn_at", None)
    return WithdrawMail(**record)


def placed_at(context: Mapping[str, Any]) -> datetime | None:
    """When the order of a mail's context was placed, if it says so."""
    order = context.get("order")
    text = order.get("placed_at") if isinstance(order, dict) else None
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
