"""The attempts to send an email: their results, and the state of an email between its first attempt and its report."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from streams.mail.command import Command
from streams.mail.delivery.ledger import Plan
from streams.mail.delivery.smtp.answers import Refused, ServerDown
from streams.mail.report import Report


@dataclass(frozen=True)
class Trouble:
    """An attempt that failed for reasons that may be the email's own or the server's. The email has not left.

    Attributes:
        plan: the plan for the next attempt.
        answer: the server's answer.
        is_outage: whether no connection could be opened: then it is not the email's own.
    """

    plan: Plan
    answer: ServerDown | Refused
    is_outage: bool = False


#: Attempt an email. The last argument is called right before its data begins, and may raise `LeaseExpired`.
Attempt: TypeAlias = Callable[[Command, Plan, Callable[[], None]], Awaitable[Report | Trouble]]


class Item:
    """One email on its way.

    Attributes:
        command: the command to send it.
        plan: the plan for its next attempt.
        is_begun: whether its data has begun to leave.
        is_recorded: whether the ledger knows that it is about to be sent.
        is_given_up: whether its attempt is cancelled. It has not begun.
        tries: the attempts that met trouble.
        worked: `ServerHealth.worked` when the attempt began.
        since: when the attempt began, in seconds of `time.monotonic`.
        task: the task that attempts it, or None before its first attempt.
        trouble: the newest trouble.
    """

    __slots__ = (
        "command",
        "is_begun",
        "is_given_up",
        "is_recorded",
        "plan",
        "since",
        "task",
        "tries",
        "trouble",
        "worked",
    )

    def __init__(self, command: Command, plan: Plan) -> None:
        self.command = command
        self.plan = plan
        self.is_begun = False
        self.is_given_up = False
        self.is_recorded = False
        self.tries = 0
        self.worked = 0
        self.since = 0.0
        self.task: asyncio.Task[None] | None = None
        self.trouble: Trouble | None = None

    @property
    def must_be_recorded(self) -> bool:
        """Whether the email may leave, so that the ledger must know of it first."""
        return self.plan in ("send", "resend")
