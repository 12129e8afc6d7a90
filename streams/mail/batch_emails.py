"""The emails of one batch: composed by renderer processes ahead of their turn, or in this process when it is their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import Protocol

import structlog

from streams.mail.command import Command
from streams.mail.composing import Composer
from streams.mail.delivery.recording import Planned
from streams.mail.links import Sender
from streams.mail.renderers.emails import Email, EmailWriter, RendersCommands
from streams.mail.renderers.pool import RendererPool
from streams.mail.report import Report

log = structlog.get_logger(__name__)

#: The emails that are composed before their turn, per batch, and the fewest that are requested at once.
AHEAD, FEWEST = 32, 8
#: Bytes of composed emails that wait for their turn, per batch. With more, only the next email is composed.
AHEAD_BYTES = 4 << 20
#: Seconds after which an email that was composed ahead is composed again: its header Date would be too old. The mailer may have paused.
STALE_S = 60.0


class BatchEmails(Protocol):
    """The emails of one batch."""

    async def take(self, command: Command) -> bytes | Report:
        """Return the email of a command, or its report if it has none, or none yet."""

    def close(self) -> None:
        """Drop the emails that were not taken."""


class Emails:
    """The emails of a mailer.

    Args:
        renderer: renders commands in this process, or the renderers that do it in processes of their own.
        sender: the sender of the emails.
        composer: prepares commands and judges results.
        clock: returns the current time, UTC.
    """

    def __init__(
        self,
        renderer: RendersCommands | RendererPool,
        sender: Sender,
        composer: Composer,
        clock: Callable[[], datetime],
    ) -> None:
        self._renderer = renderer
        self._sender = sender
        self._composer = composer
        self._clock = clock

    def of(self, planned: Iterable[Planned]) -> BatchEmails:
        """Return the emails of a batch, which are taken in about this order."""
        if not isinstance(self._renderer, RendererPool):
            return ComposedHere(self._composer, EmailWriter(self._renderer, self._sender), self._clock)
        commands = [command for command, plan in planned if plan in ("send", "resend")]
        return ComposedAhead(self._composer, self._renderer, self._clock, commands)


class ComposedHere:
    """Emails that this process composes.

    Args:
        composer: prepares and judges.
        writer: renders and composes.
        clock: returns the current time, UTC.
    """

    def __init__(self, composer: Composer, writer: EmailWriter, clock: Callable[[], datetime]) -> None:
        self._composer = composer
        self._writer = writer
        self._clock = clock

    async def take(self, command: Command) -> bytes | Report:
        """Return the email of a command, or its report."""
        now = self._clock()
        prepared = self._composer.prepare(command, now)
        if isinstance(prepared, Report):
            return prepared
        return self._composer.judge(command, self._writer.write(prepared, now), now)

    def close(self) -> None:
        """Do nothing."""


class ComposedAhead:
    """Emails that renderers compose.

    Args:
        composer: prepares and judges.
        pool: the renderers.
        clock: returns the current time, UTC.
        commands: the commands of the batch, in the order of their turns.
    """

    def __init__(
        self, composer: Composer, pool: RendererPool, clock: Callable[[], datetime], commands: Iterable[Command]
    ) -> None:
        self._composer = composer
        self._pool = pool
        self._clock = clock
        self._todo = {command.send_id: command for command in commands}
        #: The emails that were asked for and not taken, and when: seconds on the event loop's clock.
        self._asked: dict[str, tuple[asyncio.Future[Email], float]] = {}
        self._time = asyncio.get_running_loop().time
        self._ask_ahead()

    async def take(self, command: Command) -> bytes | Report:
        """Return the email of a command, or its report."""
        send_id, now = command.send_id, self._clock()
        self._todo.pop(send_id, None)
        email, asked_at = self._asked.pop(send_id, (None, 0.0))
        if email is not None and self._time() - asked_at > STALE_S:
            email.cancel()
            email = None
        if email is None:
            prepared = self._composer.prepare(command, now)
            if isinstance(prepared, Report):
                return prepared
            (email,) = self._pool.compose([(prepared, now)])
        self._ask_ahead()
        return self._composer.judge(command, await email, now)

    def _ask_ahead(self) -> None:
        """Ask for the next emails, some at once: each message to a renderer costs system calls."""
        room, now = AHEAD - len(self._asked), self._clock()
        if not self._todo or room < min(FEWEST, len(self._todo)) or self._bytes > AHEAD_BYTES:
            return
        jobs: list[tuple[Command, datetime]] = []
        for command in list(islice(self._todo.values(), room)):
            del self._todo[command.send_id]
            try:
                prepared = self._composer.prepare(command, now)
            except Exception as error:  # noqa: BLE001 - not swallowed: at its turn the email is prepared again, and the error is reported
                log.debug("an email cannot be prepared", send_id=command.send_id, error=error)
                continue
            if isinstance(prepared, Command):  # at its turn, the email gets its report
                jobs.append((prepared, now))
        asked_at = self._time()
        for (command, _), email in zip(jobs, self._pool.compose(jobs), strict=True):
            self._asked[command.send_id] = email, asked_at

    @property
    def _bytes(self) -> int:
        """The size of the emails that wait for their turn."""
        emails = [email.result() for email, _ in self._asked.values() if email.done() and not email.cancelled()]
        return sum(len(email.data) for email in emails)

    def close(self) -> None:
        """Drop the emails that were not taken."""
        for email, _ in self._asked.values():
            email.cancel()
        self._asked.clear()
