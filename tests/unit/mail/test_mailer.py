"""The mailer's work against a real server: each command has one report, and no failure of one is the others'."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from streams.core.offers.assortment import Assortment
from streams.core.offers.recommendations import request_for
from streams.mail.command import Command
from streams.mail.delivery.ledger import Plan
from streams.mail.delivery.local_notes import BEGUN, DeliveryMarks
from streams.mail.delivery.smtp import SmtpPool
from streams.mail.mailer import Mailer
from streams.mail.rendering.renderer import Renderer
from streams.mail.report import Report
from tests.harness import products
from tests.harness.commands import NOW, SENDER, TEMPLATES, command, example
from tests.harness.smtp_server import DROP, FakeMailServer, running

RENDERER = Renderer(TEMPLATES, "Butik Ø")
LATER = NOW + timedelta(days=3)


class InMemoryStore:
    """A pad in memory; `begun` hears of every send whose data begins."""

    def __init__(self, begun: list[str]) -> None:
        self.marks: dict[bytes, bytes] = {}
        self._begun = begun

    def put_local(self, key: bytes, value: bytes | None) -> None:
        """Write a note, or delete it."""
        if value is None:
            self.marks.pop(key, None)
            return
        if value == BEGUN:
            self._begun.append(key.decode())
        self.marks[key] = value

    def get_local(self, key: bytes) -> bytes | None:
        """The note under `key`."""
        return self.marks.get(key)


class MailerSetup:
    """A mailer with a server, a clock moved by hand, and a book of what was marked and paused."""

    def __init__(self, server: FakeMailServer) -> None:
        self.server = server
        self.now: datetime = NOW
        self.marked: list[str] = []
        self.store = InMemoryStore(self.marked)
        self.marks = DeliveryMarks(self.store, "disk-1")
        self.pauses: list[bool] = []
        self.is_stopping = False
        self.back: asyncio.Task[None] | None = None
        self.on_pause: Callable[[], object] = lambda: None
        self.withdrawn: dict[str, str] = {}
        self.assortment: asyncio.Future[Assortment] = asyncio.get_running_loop().create_future()
        self.mailer = Mailer(
            RENDERER,
            SENDER,
            SmtpPool(server.server()),
            fetch_withdrawn=self._withdrawn,
            fetch_assortment=lambda: asyncio.shield(self.assortment),
            on_pause=self._paused,
            clock=lambda: self.now,
        )

    async def _withdrawn(self) -> dict[str, str]:
        return self.withdrawn

    def _paused(self, is_paused: bool) -> None:
        self.pauses.append(is_paused)
        if is_paused:
            self.on_pause()

    async def deliver(self, *planned: tuple[Command, Plan]) -> dict[str, Report]:
        """The reports by send id; each command has one at most."""
        async with asyncio.timeout(20):
            reports = await self.mailer.deliver(planned, self.marks, lambda: self.is_stopping)
        found = {report.command.send_id: report for report in reports}
        assert len(found) == len(reports)
        return found

    async def one(self, plan: Plan = "send", **changes: Any) -> Report:
        """The report of one command."""
        (report,) = (await self.deliver((command(**changes), plan))).values()
        return report


@pytest.fixture
async def setup() -> AsyncIterator[MailerSetup]:
    """A desk whose server listens."""
    async with running() as server:
        setup = MailerSetup(server)
        yield setup
        await setup.mailer.close()


async def test_sent(setup: MailerSetup) -> None:
    """A mail that was taken is reported with the server's name for it, and was marked before its data."""
    report = await setup.one()
    assert (report.outcome, report.queue_id, report.code, report.is_resend) == ("sent", "Q1", 250, False)
    assert (setup.marked, setup.server.accepted, setup.pauses) == (["s1"], ["s1"], [])


async def test_put_off_and_refused(setup: MailerSetup) -> None:
    """4xx is deferred with a time; 5xx is refused and says whether the address is to blame."""
    setup.server.answers["rcpt"] = ["450 4.2.0 greylisted", "550 5.1.1 no such user", "550 5.7.26 no SPF"]
    deferred = await setup.one()
    assert (deferred.outcome, deferred.code) == ("deferred", 450)
    assert deferred.retry_at is not None
    assert NOW < deferred.retry_at < NOW + timedelta(minutes=2)
    hard, ours = await setup.one(), await setup.one()
    assert (hard.outcome, hard.is_hard, hard.is_bounce) == ("refused", True, True)
    assert (ours.outcome, ours.is_hard, ours.is_bounce) == ("refused", False, False)
    assert ours.text.startswith("sender_authentication: 550 5.7.26")


async def test_what_the_server_took_is_not_sent_again(setup: MailerSetup) -> None:
    """After a crash between the server's answer and the ledger the mail is reported as sent, by the name that was noted."""
    setup.marks.mark_accepted("s1", "Q9")
    report = await setup.one("confirm", send_id="s1")
    assert (report.outcome, report.rule, report.queue_id, report.is_resend) == ("sent", "accepted", "Q9", False)
    assert setup.server.accepted == setup.marked == []


async def test_the_notes_hear_of_every_answer(setup: MailerSetup) -> None:
    """A mail that was taken is noted with the server's name for it."""
    await setup.one(send_id="s1")
    assert (setup.marks.crash_state("s1", "disk-1"), setup.marks.queue_id("s1")) == ("accepted", "Q1")


async def test_no_time_left_to_try_again(setup: MailerSetup) -> None:
    """A mail that would be late at its next attempt is refused now, and no hard bounce."""
    setup.server.answers["rcpt"] = ["450 4.2.0 later"]
    report = await setup.one(not_after=NOW + timedelta(seconds=5))
    assert (report.outcome, report.rule, report.is_hard) == ("refused", "gave_up", False)


@pytest.mark.parametrize(("plan", "outcome"), [("send", "expired"), ("expire", "expired"), ("resend", "unknown")])
async def test_late(setup: MailerSetup, plan: Plan, outcome: str) -> None:
    """A late mail does not leave; one that may have left is not called expired."""
    setup.now = LATER
    assert (await setup.one(plan)).outcome == outcome
    assert setup.server.accepted == setup.marked == []


async def test_receipt_is_sent_again_and_promotion_is_not(setup: MailerSetup) -> None:
    """The connection breaks after the data: a receipt goes again with the same Message-ID, a promotion does not; both are told."""
    setup.server.answers["data"] = [DROP]
    receipt = await setup.one()
    assert (receipt.outcome, receipt.is_resend, setup.server.accepted) == ("sent", True, ["s1", "s1"])
    setup.server.answers["data"] = [DROP]
    promotion = await setup.one(send_id="s2", purpose="marketing")
    assert (promotion.outcome, promotion.rule, setup.server.accepted[2:]) == ("unknown", "connection_lost", ["s2"])


async def test_receipt_that_may_have_left_stays_so_while_the_server_is_down(setup: MailerSetup) -> None:
    """It broke after the data and then the server went away: when it is back the mail is sent once more, and reported so."""

    async def close_after_data(*_: Any) -> str:
        setup.server.accepted.append("s1")
        setup.server.close()
        return DROP

    loop = asyncio.get_running_loop()
    original = setup.server.handle_DATA
    setup.server.handle_DATA = close_after_data  # type: ignore[method-assign]  # a server that dies at the worst moment

    def back() -> None:
        setup.server.handle_DATA = original  # type: ignore[method-assign]
        setup.back = loop.create_task(setup.server.open())
        setup.on_pause = lambda: None

    setup.on_pause = back
    report = await setup.one()
    assert (report.outcome, report.is_resend, setup.server.accepted) == ("sent", True, ["s1", "s1"])


async def test_given_up(setup: MailerSetup) -> None:
    """What the ledger gave up is reported and not sent."""
    report = await setup.one("abandon", purpose="marketing")
    assert (report.outcome, report.rule, setup.server.accepted) == ("unknown", "in_flight_after_crash", [])


async def test_bad_commands_harm_nobody(setup: MailerSetup) -> None:
    """Commands that cannot be rendered or composed are refused with the reason, without a code; those beside them go out."""
    broken = example("order-confirmation") | {"order": {"total": "?"}}
    reports = await setup.deliver(
        (command(send_id="a", to_address="x@y.example\r\nBcc: z"), "send"),
        (command(send_id="b", context=broken), "send"),
        (command(send_id="c", message="gone"), "send"),
        (command(send_id="d", time_zone="Mars/Olympus"), "send"),
        (command(send_id="e"), "send"),
    )
    assert {key: report.rule for key, report in reports.items()} == {
        "a": "unsendable", "b": "unrenderable", "c": "unrenderable", "d": "accepted", "e": "accepted"
    }  # fmt: skip
    assert all(reports[key].code is None and not reports[key].is_bounce for key in "abc")


async def test_server_down_is_waited_for(setup: MailerSetup) -> None:
    """The server is away, then back: every mail arrives once, and the pause began and ended."""
    setup.server.close()
    loop = asyncio.get_running_loop()

    def back() -> None:
        setup.on_pause = lambda: None
        setup.back = loop.create_task(setup.server.open())

    setup.on_pause = back
    reports = await setup.deliver(*((command(send_id=f"s{n}"), "send") for n in range(30)))
    assert {report.outcome for report in reports.values()} == {"sent"}
    assert sorted(setup.server.accepted) == sorted(reports)
    assert len(reports) == 30
    assert setup.pauses[0] is True
    assert setup.pauses[-1] is False


async def test_stop_while_the_server_is_down(setup: MailerSetup) -> None:
    """A stop ends the waiting: no report for what was not tried, and what was done before is reported."""
    reports = await setup.deliver((command(send_id="first"), "send"))
    assert list(reports) == ["first"]
    setup.server.close()

    def stop() -> None:
        setup.is_stopping = True

    setup.on_pause = stop
    assert await setup.deliver((command(send_id="a"), "send"), (command(send_id="b"), "send")) == {}
    assert setup.server.accepted == ["first"]
    assert setup.pauses[-1] is False


async def test_what_was_withdrawn_is_held_back(setup: MailerSetup) -> None:
    """By the rule that forbids it now, and before any data leaves; what is owed goes all the same."""
    setup.withdrawn.update({"s1": "unsubscribed", "s2": "unsubscribed"})
    review = command(flow="review", message="ask", purpose="review")
    reports = await setup.deliver((review, "send"), (command(send_id="s2"), "send"))
    assert (reports["s1"].outcome, reports["s1"].rule, reports["s1"].text) == (
        "suppressed",
        "withdrawn",
        "unsubscribed",
    )
    assert (reports["s2"].outcome, setup.marked, setup.server.accepted) == ("sent", ["s2"], ["s2"])


async def test_withdrawn_while_the_server_is_down(setup: MailerSetup) -> None:
    """A mail that waits for the server is looked at again when the server is back."""
    setup.server.close()
    loop = asyncio.get_running_loop()

    def back() -> None:
        setup.on_pause = lambda: None
        setup.withdrawn["s1"] = "complained"
        setup.back = loop.create_task(setup.server.open())

    setup.on_pause = back
    report = await setup.one(flow="review", message="ask", purpose="review")
    assert (report.outcome, report.text, setup.server.accepted) == ("suppressed", "complained", [])


def _wish(at_least: int) -> Command:
    context = example("goes-well-with") | {"recommend": request_for([products.order("o1", "x")], 3, at_least)}
    del context["products"]
    return command(flow="goes-well-with", message="products", purpose="marketing", context=context)


async def test_products_are_chosen_when_the_mail_is_written(setup: MailerSetup) -> None:
    """The catalogue of that moment is waited for; with fewer products than wanted the mail is held back."""
    asking = asyncio.create_task(setup.deliver((_wish(1), "send"), (command(send_id="s2"), "send")))
    await asyncio.sleep(0)
    setup.assortment.set_result(
        products.assortment_of(products.product("x", complements=("y",)), products.product("y"))
    )
    assert {send_id: report.outcome for send_id, report in (await asking).items()} == {"s1": "sent", "s2": "sent"}
    report = (await setup.deliver((_wish(2), "send")))["s1"]
    assert (report.outcome, report.rule) == ("suppressed", "too_few_products")


async def test_a_wish_that_is_none(setup: MailerSetup) -> None:
    """It harms its own mail only."""
    setup.assortment.set_result(Assortment())
    report = await setup.one(context=example("order-confirmation") | {"recommend": {"most": "many"}})
    assert (report.outcome, report.rule) == ("refused", "unrenderable")


async def test_stop_while_the_catalogue_is_read(setup: MailerSetup) -> None:
    """A stop does not wait for it; nothing is reported, and nothing has left."""
    asking = asyncio.create_task(setup.deliver((_wish(1), "send")))
    await asyncio.sleep(0)
    setup.is_stopping = True
    assert (await asking, setup.marked) == ({}, [])
