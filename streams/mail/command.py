"""The order that the mailer gets: one mail to render and send."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from streams.core.model.effects import MailFields


class Command(MailFields, frozen=True, gc=True, kw_only=True):
    """A send as it lies on `email-commands`: the fields of `SendMail`, and what the wire adds.

    `attempt` counts from 1. `commanded_at` (UTC) is when it was decided, the same over all attempts.
    `raw` is the record's value as it was read, framing included: what a retry carries.
    """

    context: dict[str, Any]
    tracking: bool
    attempt: int
    commanded_at: datetime
    raw: bytes
