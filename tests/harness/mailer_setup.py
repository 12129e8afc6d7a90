"""A mailer with a fake server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from streams.core.model.address_state import Suppression
from streams.core.offers.assortment import Assortment
from streams.core.sending.address_limits import AddressRules
from streams.core.values.addresses import address_key
from streams.mail.address_check import AddressCheck
from streams.mail.command import Command
from streams.mail.delivery.ledger import Plan
from streams.mail.delivery.marks import BEGUN, DeliveryMarks
from streams.mail.delivery.smtp.pool import SmtpPool
from streams.mail.mailer import Mailer
from streams.mail.rendering.email_brand import EmailBrand
from streams.mail.rendering.renderer import Renderer
from streams.mail.report import Report
from tests.harness.commands import NOW, SENDER, TEMPLATES, command
from tests.harness.smtp_server import FakeMailServer, running

ADDRESS_KEY = address_key(b"a secret of the tests, long enough")
#: More emails than a test sends to one address.
NO_LIMITS = AddressRules(transactional=10_000)
RENDERER = Renderer(TEMPLATES, EmailBrand(name="Butik Ø"))


class InMemoryStore:
    """Marks in memory. The id of every send whose data begins is appended to `begun`."""

    is_open = True

    def __init__(self, begun: list[str]) -> None:
        self.marks: dict[bytes, bytes] = {}
        self._begun = begun

    def put_local(self, key: bytes, value: bytes | None) -> None:
        """Write a mark, or delete it."""
        if value is None:
            self.marks.pop(key, None)
            return
        if value == BEGUN:
            self._begun.append(key.decode())
        self.marks[key] = value

    def delete_local(self, keys: Iterable[bytes]) -> None:
        """Delete marks."""
        for key in keys:
            self.marks.pop(key, None)

    def get_local(self, key: bytes) -> bytes | None:
        """Return the mark of `key`."""
        return self.marks.get(key)


class MailerSetup:
    """A mailer with a fake server and a clock, and a record of its marks and pauses."""

    def __init__(self, server: FakeMailServer, rules: AddressRules = NO_LIMITS) -> None:
        self.server = server
        self.now: datetime = NOW
        self.marked: list[str] = []
        self.store = InMemoryStore(self.marked)
        self.marks = DeliveryMarks(self.store, "disk-1", "boot-1")
        self.pauses: list[bool] = []
        self.is_stopping = False
        self.restart: asyncio.Task[None] | None = None
        self.on_pause: Callable[[], object] = lambda: None
        self.withdrawn: dict[str, str] = {}
        self.suppressed: dict[bytes, Suppression] = {}
        self.assortment: asyncio.Future[Assortment] = asyncio.get_running_loop().create_future()
        self.versions = {"order-confirmation": 3}
        self.rules = rules
        self.mailer = self.new_mailer()

    def new_mailer(self, **options: Any) -> Mailer:
        """Return a mailer with the same server, and with `options`."""
        return Mailer(
            RENDERER,
            SENDER,
            SmtpPool(self.server.server()),
            newest_versions=self.versions,
            fetch_withdrawn=self._withdrawn,
            addresses=AddressCheck(ADDRESS_KEY, self.rules, self._suppressed),
            fetch_assortment=lambda: asyncio.shield(self.assortment),
            on_pause=self._paused,
            clock=lambda: self.now,
            **options,
        )

    async def _withdrawn(self) -> dict[str, str]:
        return self.withdrawn

    async def _suppressed(self) -> dict[bytes, Suppression]:
        return self.suppressed

    def _paused(self, is_paused: bool) -> None:
        self.pauses.append(is_paused)
        if is_paused:
            self.on_pause()

    async def deliver(self, *planned: tuple[Command, Plan]) -> dict[str, Report]:
        """Return the reports by send id; each command has at most one."""
        async with asyncio.timeout(20):
            reports = await self.mailer.deliver(planned, self.marks, lambda: self.is_stopping)
        by_send_id = {report.command.send_id: report for report in reports}
        assert len(by_send_id) == len(reports)
        return by_send_id

    async def one(self, plan: Plan = "send", **changes: Any) -> Report:
        """Return the report of one command."""
        (report,) = (await self.deliver((command(**changes), plan))).values()
        return report


@asynccontextmanager
async def mailer_setup(rules: AddressRules = NO_LIMITS) -> AsyncIterator[MailerSetup]:
    """A mailer whose server listens; `rules` are the limits of every address."""
    async with running() as server:
        setup = MailerSetup(server, rules)
        yield setup
        await setup.mailer.close()
