"""The command that the mailer executes: one email to render and send."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from streams.core.model.effects import MailFields


class Command(MailFields, frozen=True, gc=True, kw_only=True):
    """A send as stored on `email-commands`: the fields of `SendMail` and those that encoding adds.

    Attributes:
        context: the data for the templates.
        tracking: whether the email may contain a tracking pixel.
        attempt: the number of the attempt, from 1.
        commanded_at: when the email was decided, UTC; the same for all attempts.
        raw: the record's value as it was read, framing included. A retry timer carries it.
    """

    context: dict[str, Any]
    tracking: bool
    attempt: int
    commanded_at: datetime
    raw: bytes
