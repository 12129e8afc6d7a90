"""A mailer with the send ledger of one partition and a mail server in memory, for virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from streams.agents.send_ledger import BatchLedger
from streams.mail.command import Command
from streams.mail.delivery.ledger import plan_delivery
from streams.mail.delivery.marks import DeliveryMarks
from streams.mail.delivery.recording import Planned
from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.delivery.smtp.server import Server
from streams.mail.delivery.window import Lease
from streams.mail.mailer import Mailer
from streams.mail.rendering.renderer import RenderedEmail
from streams.mail.report import Report
from tests.harness.commands import NOW, SENDER, command
from tests.harness.mailer_setup import InMemoryStore
from tests.harness.smtp_in_memory import InMemoryServer


class PlainRenderer:
    """Renders every email to the same short text."""

    def render(self, command: Any, links: Any) -> RenderedEmail:
        """Return an email."""
        return RenderedEmail("Subject", "<p>Text</p>", "Text")


def to(name: str, **changes: Any) -> Command:
    """Return a command with the send id `name`, to `name@post.example`."""
    return command(send_id=name, to_address=f"{name}@post.example", **changes)


def now() -> datetime:
    """Return the virtual time: that of the event loop, from `NOW` on."""
    return NOW + timedelta(seconds=asyncio.get_running_loop().time())


class TableBatch:
    """A batch whose changes are on its table at once, and whose commits only end a transaction."""

    has_uncommitted = False

    def __init__(self, table: dict[bytes, Any]) -> None:
        self.table = table
        self.now_ms = round(now().timestamp() * 1000)

    def get(self, key: bytes) -> Any:
        """Return the entry under `key`."""
        return self.table.get(key)

    def put(self, key: bytes, value: Any) -> None:
        """Set the entry under `key`."""
        self.table[key] = value

    def send(self, topic: str, key: bytes, value: bytes | None, headers: Any = None) -> None:
        """Do nothing: the reports are read elsewhere."""

    async def acknowledge(self) -> None:
        """Take a moment."""
        await asyncio.sleep(0)

    async def checkpoint(self) -> None:
        """Take a moment."""
        await asyncio.sleep(0)


class MailerInMemory:
    """The mailer.

    Args:
        server: the mail server.
        table: the ledger of an earlier mailer, which it takes over.
        store: the marks of an earlier mailer with the same disk.
        connections: the connections to the server.

    Attributes:
        committed: the reports of all batches, in order.
        is_stopping: whether it must stop.
    """

    def __init__(
        self,
        server: InMemoryServer,
        table: dict[bytes, Any] | None = None,
        store: InMemoryStore | None = None,
        connections: int = 4,
    ) -> None:
        self.server = server
        self.table: dict[bytes, Any] = {} if table is None else table
        self.store = store or InMemoryStore([])
        self.marks = DeliveryMarks(self.store, f"disk-{id(self)}", "boot-1")
        self.committed: list[Report] = []
        self.is_stopping = False
        renderer: Any = PlainRenderer()
        settings = Server(host="memory", port=25, connections=connections)
        pool = SmtpPool(settings, open_connection=server.open_connection)
        self.mailer = Mailer(renderer, SENDER, pool, clock=now)

    @property
    def accepted(self) -> Counter[str]:
        """How often the server accepted an email to each name."""
        return Counter(recipient.partition("@")[0] for recipient, _ in self.server.accepted)

    def plan(self, command: Command) -> Planned:
        """Return a command with its plan, as the mailer stage finds it."""
        entry = self.table.get(command.send_id.encode())
        crash_state = self.marks.crash_state(command.send_id, entry.disk) if entry is not None else "none"
        is_waiting = self.mailer.unanswered.is_waiting(command.send_id)
        return command, plan_delivery(entry, command, now(), crash_state, is_waiting=is_waiting)

    async def deliver(self, *commands: Command) -> dict[str, Report]:
        """Process one batch, and return its reports by send id."""
        lease = Lease(1e9)
        ledger = BatchLedger(
            TableBatch(self.table), self.marks, self.mailer.window, lease, lambda report: [], self.committed.append
        )
        planned = [planned for planned in map(self.plan, commands) if planned[1] != "skip"]
        reports = await self.mailer.deliver(planned, self.marks, lambda: self.is_stopping, ledger)
        ledger.conclude(reports)
        ledger.close()
        return {report.command.send_id: report for report in reports}

    async def retry(self, report: Report, seconds: float = 0.0) -> Report:
        """Process the next attempt of a deferred email, `seconds` after its time, and return its report."""
        assert report.retry_at is not None
        await asyncio.sleep(max(0.0, (report.retry_at - now()).total_seconds() + seconds))
        again = replace(report.command, attempt=report.command.attempt + 1)
        return (await self.deliver(again))[again.send_id]

    async def outcome(self, report: Report) -> Report:
        """Return the last report of an email, after all its retries."""
        while report.outcome == "deferred":
            report = await self.retry(report)
        return report
