"""A mailer for tests of its stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from streams.core.values.local_time import utc_from_ms
from streams.mail.command import Command
from streams.mail.delivery.ledger import Plan
from streams.mail.delivery.window import Window
from streams.mail.report import Report
from streams.mail.unanswered import Unanswered
from tests.harness.records import AT_MS

AT = utc_from_ms(AT_MS)


class AcceptingMailer:
    """A mailer whose server accepts every email."""

    def __init__(self) -> None:
        self.before_reports: Callable[[], None] = lambda: None
        self.window = Window(1)
        self.unanswered = Unanswered(self.window, 600.0)

    async def deliver(
        self, planned: Iterable[tuple[Command, Plan]], marks: Any, is_stopping: Callable[[], bool], ledger: Any
    ) -> list[Report]:
        """Return a report per command."""
        self.before_reports()
        return [Report(command=command, outcome="sent", at=AT, rule="accepted") for command, _ in planned]
