"""The emails of a batch that renderers compose ahead of their turn, in virtual time with renderers in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from streams.mail.batch_emails import AHEAD, AHEAD_BYTES, FEWEST, STALE_S, ComposedAhead
from streams.mail.command import Command
from streams.mail.composing import Composer
from streams.mail.renderers.emails import Email
from streams.mail.report import Report
from tests.harness.commands import NOW, command
from tests.harness.virtual_time import run

FIRST = command()
COMMANDS = [replace(FIRST, send_id=f"s{number}") for number in range(100)]


class FakeRenderers:
    """Renderers that compose at once.

    Attributes:
        asked: the send ids and the times of the emails, in order.
        size: the bytes of each email.
    """

    def __init__(self, size: int = 1) -> None:
        self.asked: list[tuple[str, datetime]] = []
        self.size = size

    def compose(self, commands: Iterable[tuple[Command, datetime]]) -> list[asyncio.Future[Email]]:
        """Return emails that are composed."""
        emails = []
        for each, now in commands:
            email: asyncio.Future[Email] = asyncio.get_running_loop().create_future()
            email.set_result(Email(each.send_id.encode().ljust(self.size)))
            self.asked.append((each.send_id, now))
            emails.append(email)
        return emails


def now() -> datetime:
    """Return the virtual time."""
    return NOW + timedelta(seconds=asyncio.get_running_loop().time())


def emails_of(renderers: Any, commands: Iterable[Command], versions: dict[str, int] | None = None) -> ComposedAhead:
    """Return the emails of a batch."""
    return ComposedAhead(Composer(versions or {}, 1.0), renderers, now, commands)


def test_a_bounded_number_is_composed_ahead() -> None:
    """At the beginning and after each email, at most `AHEAD` wait for their turn; they are asked for in order, once each, several together."""

    async def take_all() -> None:
        renderers = FakeRenderers()
        emails = emails_of(renderers, COMMANDS)
        for taken, each in enumerate(COMMANDS):
            assert taken + AHEAD - FEWEST < len(renderers.asked) or len(renderers.asked) == len(COMMANDS)
            assert len(renderers.asked) <= taken + AHEAD
            assert await emails.take(each) == each.send_id.encode()
        assert [send_id for send_id, _ in renderers.asked] == [each.send_id for each in COMMANDS]

    run(take_all())


def test_large_emails_are_not_composed_ahead() -> None:
    """If the emails that wait are large, only the one whose turn it is is composed."""

    async def take_some() -> None:
        renderers = FakeRenderers(size=AHEAD_BYTES)
        emails = emails_of(renderers, COMMANDS)
        for _ in range(3):
            await emails.take(COMMANDS[0])
        assert len(renderers.asked) == AHEAD + 2

    run(take_some())


def test_an_email_composed_long_ago_is_composed_again() -> None:
    """After a pause of the mailer, the header Date of an email is that of its turn."""

    async def pause() -> None:
        renderers = FakeRenderers()
        emails = emails_of(renderers, COMMANDS[:2])
        await emails.take(COMMANDS[0])
        await asyncio.sleep(STALE_S + 1)
        await emails.take(COMMANDS[1])
        assert renderers.asked[1:] == [("s1", NOW), ("s1", NOW + timedelta(seconds=STALE_S + 1))]

    run(pause())


def test_another_attempt() -> None:
    """An email that is attempted again, or not in its order, is composed again or at once, and no other twice."""

    async def attempt() -> None:
        renderers = FakeRenderers()
        emails = emails_of(renderers, COMMANDS)
        await emails.take(COMMANDS[0])
        await emails.take(COMMANDS[99])
        await emails.take(COMMANDS[0])
        for each in COMMANDS[1:99]:
            await emails.take(each)
        asked = [send_id for send_id, _ in renderers.asked]
        assert sorted(asked) == sorted([each.send_id for each in COMMANDS] + ["s0"])

    run(attempt())


def test_an_email_without_a_rendering() -> None:
    """A command that waits for newer templates, or whose products are invalid, has its report at its turn, and is never rendered."""
    newer = replace(FIRST, send_id="newer", flow_version=9)
    invalid = command(send_id="invalid", context={"recommend": 3})

    async def take_all() -> None:
        renderers = FakeRenderers()
        emails = emails_of(renderers, [newer, invalid, COMMANDS[0]], {FIRST.flow: 3})
        reports = [await emails.take(each) for each in (newer, invalid)]
        assert [report.rule for report in reports if isinstance(report, Report)] == ["newer_templates", "unrenderable"]
        assert await emails.take(COMMANDS[0]) == b"s0"
        assert [send_id for send_id, _ in renderers.asked] == ["s0"]

    run(take_all())


def test_a_defect_concerns_one_email() -> None:
    """An unexpected error before the rendering is raised at the turn of its email."""
    defect = replace(FIRST, send_id="defect")

    class Defective(Composer):
        def prepare(self, command: Command, now: datetime) -> Command | Report:
            if command is defect:
                raise ArithmeticError
            return super().prepare(command, now)

    async def take_all() -> None:
        renderers: Any = FakeRenderers()
        emails = ComposedAhead(Defective({}, 1.0), renderers, now, [defect, COMMANDS[0]])
        with pytest.raises(ArithmeticError):
            await emails.take(defect)
        assert await emails.take(COMMANDS[0]) == b"s0"

    run(take_all())


def test_emails_that_are_not_taken() -> None:
    """At the end of a batch, the emails that nobody took are cancelled."""

    async def close() -> None:
        waiting: list[asyncio.Future[Email]] = []

        class Slow(FakeRenderers):
            def compose(self, commands: Iterable[tuple[Command, datetime]]) -> list[asyncio.Future[Email]]:
                emails: list[asyncio.Future[Email]] = [asyncio.get_running_loop().create_future() for _ in commands]
                waiting.extend(emails)
                return emails

        emails_of(Slow(), COMMANDS).close()
        assert len(waiting) == AHEAD
        assert all(email.cancelled() for email in waiting)

    run(close())
