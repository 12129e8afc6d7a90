"""The mailer's report of one command."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from streams.core.model.events import MailOutcome
from streams.mail.command import Command


class Report(Struct, frozen=True, kw_only=True):
    """The outcome of one command.

    Attributes:
        command: the command.
        outcome: the outcome.
        at: the time of the outcome, UTC.
        rule: the rule that decided.
        text: the server's or the renderer's text, without addresses.
        code: the server's SMTP reply code.
        is_hard: whether the address is permanently dead.
        is_bounce: whether the address was refused, not the sender or the content.
        queue_id: the mail server's id of the email.
        retry_at: the time of the next attempt, UTC.
        is_resend: whether it was sent although it may have left before.
        is_unanswered: whether its data has left, and the server may still accept it: its retry finds out.
    """

    command: Command
    outcome: MailOutcome
    at: datetime
    rule: str
    text: str = ""
    code: int | None = None
    is_hard: bool = False
    is_bounce: bool = False
    queue_id: str | None = None
    retry_at: datetime | None = None
    is_resend: bool = False
    is_unanswered: bool = False
