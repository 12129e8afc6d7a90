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


@dataclass(frozen=True)
class Refusal:
    """A final refusal, before it is known whether the server refuses everybody.

    Attributes:
        final: the report if the refusal is this email's own.
        deferred: the report if the server refuses everybody.
        accepted: `ServerHealth.accepted` when the email was refused.
    """

    final: Report
    deferred: Report
    accepted: int


class Item:
    """One email on its way.

    Attributes:
        command: the command to send it.
        plan: the plan for its next attempt, or that of the copy that is attempted.
        is_begun: whether its data has begun to leave.
        begun_at: when the newest copy was begun or, after a first copy whose answer is unknown, attempted: seconds on the event loop's clock.
        is_again: whether the newest copy whose data has begun may not be the first one.
        is_recorded: whether the ledger knows that it is about to be sent.
        is_given_up: whether its attempt is cancelled. It has not begun.
        is_left: whether its batch no longer waits for its answer. No data of it may begin any more.
        tries: the attempts that met trouble.
        worked: `ServerHealth.worked` when the attempt began.
        since: when the attempt began, in seconds on the event loop's clock.
        task: the task that attempts it, or None before its first attempt.
    """

    __slots__ = (
        "begun_at",
        "command",
        "is_again",
        "is_begun",
        "is_given_up",
        "is_left",
        "is_recorded",
        "plan",
        "since",
        "task",
        "tries",
        "worked",
    )

    def __init__(self, command: Command, plan: Plan) -> None:
        self.command = command
        self.plan = plan
        self.is_begun = False
        self.begun_at = 0.0
        self.is_again = False
        self.is_given_up = False
        self.is_left = False
        self.is_recorded = False
        self.tries = 0
        self.worked = 0
        self.since = 0.0
        self.task: asyncio.Task[None] | None = None

    @property
    def must_be_recorded(self) -> bool:
        """Whether the email may leave, so that the ledger must know of it first."""
        return self.plan in ("send", "resend")

    def repeat(self, now: float) -> None:
        """Attempt a second copy, since the first one may or may not have arrived. `now` is in seconds on the event loop's clock."""
        self.plan, self.begun_at = "resend", now


#: Attempt an email. The last argument is called right before its data begins, and may raise `LeaseExpired`. The result is None if the batch
#: no longer waits for it.
Attempt: TypeAlias = Callable[[Item, Callable[[], None]], Awaitable[Report | Refusal | Trouble | None]]
