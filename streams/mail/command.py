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
        due_at: when the email became due, UTC; None for a retry, and for a command of an older worker. Only metrics depend on it.
    """

    context: dict[str, Any]
    tracking: bool
    attempt: int
    commanded_at: datetime
    raw: bytes
    due_at: datetime | None = None

    @property
    def is_test(self) -> bool:
        """Whether the email is about a test order, which counts nowhere."""
        order = self.context.get("order")
        return isinstance(order, dict) and order.get("is_test") is True

    @property
    def order_placed_at(self) -> datetime | None:
        """When the order in the context was placed. None if the context has no order or no valid time."""
        order = self.context.get("order")
        text = order.get("placed_at") if isinstance(order, dict) else None
        if not isinstance(text, str):
            return None
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return None
        return at if at.tzinfo is not None else None
