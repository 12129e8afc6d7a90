"""The renderer processes of a mailer: which email each composes, and what happens when one of them ends.

A renderer that ends is started again, and its emails are composed again: it has sent nothing. From then on each of these emails is composed
with no other beside it. An email during which a renderer has ended twice that way is given up, as a record that ends the process is: see
`runtime/isolation/crashes.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog
from msgspec.structs import replace

from streams.mail.command import Command
from streams.mail.renderers.emails import Email
from streams.mail.renderers.messages import Job, Result, Setup, encode_job
from streams.mail.renderers.process import RendererProcess, Start, Work, start_child
from streams.observability import metrics

log = structlog.get_logger(__name__)

#: The most emails in one message to a renderer. It gets more once it has at most half as many left.
MOST_PER_MESSAGE = 16
#: How often a renderer may end while it composes one email alone.
MAX_CRASHES = 2
#: Seconds without a result after which a renderer is ended. The limits of the sandbox end each rendering within a few seconds.
SILENCE_S = 60.0
#: Seconds that a renderer has to start.
START_S = 120.0
#: Seconds until a renderer that ended before it was ready is started again, doubled each time up to the last one.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
#: Seconds that renderers have to end at a clean stop.
STOP_S = 2.0


class RendererFailed(Exception):
    """A renderer ended while the mailer started."""


class RendererPool:
    """The renderers. For one event loop, that of the main thread.

    Args:
        setup: what the renderers need.
        size: the number of processes.
        silence_s: seconds without a result after which a renderer is ended.
        start_renderer: starts a process.
    """

    def __init__(
        self, setup: Setup, size: int, *, silence_s: float = SILENCE_S, start_renderer: Start = start_child
    ) -> None:
        self._setup = setup.encode()
        self._size = size
        self._silence_s = silence_s
        self._start_renderer = start_renderer
        self._processes: list[RendererProcess] = []
        #: Those that start with another setup, and those of the setup before, which still compose what they have.
        self._newer: list[RendererProcess] = []
        self._older: list[RendererProcess] = []
        self._waiting: deque[Work] = deque()
        #: Emails that a renderer had when it ended. Each is composed with no other beside it in the process.
        self._suspects: deque[Work] = deque()
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._looks: asyncio.Task[None] | None = None
        self._pause_s = FIRST_PAUSE_S
        #: Whether a renderer ended before it was ready.
        self._has_failed = False
        self._is_stopping = False

    async def start(self) -> None:
        """Start the renderers. They are ready later.

        Raises:
            OSError: one of them cannot be started.
        """
        for _ in range(self._size):
            await self._start_one()
        self._looks = asyncio.create_task(self._look())

    async def until_ready(self) -> None:
        """Wait until all renderers are ready.

        Raises:
            RendererFailed: one of them ended.
        """
        while len(self.ready) < self._size:
            if self._has_failed:
                raise RendererFailed("a renderer process ended while it started")
            await asyncio.sleep(0.02)

    async def switch(self, setup: Setup) -> None:
        """Replace the renderers by some with another setup. The old ones compose the emails that they have, and end.

        Raises:
            RendererFailed: a new one ended while it started. The old ones stay.
            OSError: a new one cannot be started. The old ones stay.
        """
        body = setup.encode()
        try:
            for _ in range(self._size):
                process = RendererProcess(self._on_results, self._on_ended)
                self._newer.append(process)
                await process.start(body, self._start_renderer)
            while len([process for process in self._newer if process.is_ready]) < self._size:
                if len(self._newer) < self._size:
                    raise RendererFailed("a renderer process ended while it started")
                await asyncio.sleep(0.02)
        except BaseException:
            for process in self._newer:
                process.disconnect()  # without a connection, it was not started
            self._newer = [process for process in self._newer if process.pid is not None]
            raise
        self._setup = body
        self._older += self._processes
        self._processes, self._newer = self._newer, []
        for process in self._older:
            if not process.in_flight:
                process.disconnect()
        self._feed()

    @property
    def _all(self) -> list[RendererProcess]:
        return [*self._processes, *self._newer, *self._older]

    @property
    def ready(self) -> list[RendererProcess]:
        """The processes that take emails."""
        return [process for process in self._processes if process.is_ready]

    def compose(self, commands: Iterable[tuple[Command, datetime]]) -> list[asyncio.Future[Email]]:
        """Return the emails to come of some commands, each with the time of its header Date. They are composed in this order.

        An email that is cancelled before its turn is not composed.
        """
        works = [self._work(command, now) for command, now in commands]
        self._waiting += works
        self._feed()
        return [work.email for work in works]

    def _work(self, command: Command, now: datetime) -> Work:
        self._number += 1
        return Work(self._number, command.send_id, encode_job(Job(self._number, replace(command, raw=b""), now)))

    async def stop(self) -> None:
        """End the renderers. Emails that are not composed yet are cancelled."""
        self._is_stopping = True
        if self._looks is not None:
            self._looks.cancel()
        processes = self._all
        for process in processes:
            process.disconnect()
        for work in [*self._waiting, *self._suspects]:
            work.email.cancel()
        await asyncio.gather(*(process.ended(STOP_S) for process in processes))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- giving out emails -------------------------------------------------------------------------------------------

    def _feed(self) -> None:
        """Give emails to the renderers that have few."""
        for process in self.ready:
            if works := self._take(process):
                process.give(works)

    def _take(self, process: RendererProcess) -> list[Work]:
        """Remove the next emails of a renderer from those that wait."""
        if self._suspects:
            if process.in_flight:
                return []
            while self._suspects:
                if not (work := self._suspects.popleft()).email.done():
                    return [work]
        if len(process.in_flight) > MOST_PER_MESSAGE // 2 or any(
            work.is_suspect for work in process.in_flight.values()
        ):
            return []
        # Few emails are divided among the renderers, so that all of them are soon composed.
        most = min(MOST_PER_MESSAGE, -(-len(self._waiting) // len(self.ready)))
        works: list[Work] = []
        while self._waiting and len(works) < most:
            if not (work := self._waiting.popleft()).email.done():
                works.append(work)
        return works

    def _on_results(self, process: RendererProcess, results: Sequence[Result]) -> None:
        if not process.is_ready:
            process.is_ready = True
            self._pause_s = FIRST_PAUSE_S
            metrics.RENDERERS.set(len(self.ready))
        metrics.RENDERER_BUSY.inc(sum([email.seconds for _, email in results]))
        for number, email in results:
            work = process.in_flight.pop(number)
            if not work.email.done():
                work.email.set_result(email)
        if process in self._older and not process.in_flight:
            process.disconnect()
        self._feed()

    # -- ends and starts ---------------------------------------------------------------------------------------------

    async def _start_one(self) -> None:
        process = RendererProcess(self._on_results, self._on_ended)
        self._processes.append(process)
        try:
            await process.start(self._setup, self._start_renderer)
        except OSError:
            self._processes.remove(process)
            raise

    def _on_ended(self, process: RendererProcess) -> None:
        if process in self._newer:  # `switch` notices it
            self._newer.remove(process)
            return
        is_older = process in self._older
        (self._older if is_older else self._processes).remove(process)
        if is_older and not process.in_flight:
            return
        metrics.RENDERERS.set(len(self.ready))
        works = [work for work in process.in_flight.values() if not work.email.done()]
        if self._is_stopping:
            for work in works:
                work.email.cancel()
            return
        self._has_failed |= not process.is_ready
        metrics.RENDERER_RESTARTS.labels("silent" if process.is_killed else "ended").inc()
        for work in works:
            work.is_suspect = True
            work.crashes += len(process.in_flight) == 1
            if work.crashes >= MAX_CRASHES:
                text = f"a renderer process ended {work.crashes} times while it composed this email"
                work.email.set_result(Email(b"", "crashed", text))
            else:
                self._suspects.append(work)
        if not is_older:
            task = asyncio.create_task(self._replace(process))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._feed()

    async def _replace(self, ended: RendererProcess) -> None:
        """Log the end of a renderer, and start another one."""
        send_ids = [work.send_id for work in ended.in_flight.values()]
        log.error(
            "a renderer process ended, starting another one",
            pid=ended.pid,
            code=await ended.ended(STOP_S),
            reason="no result for too long" if ended.is_killed else "ended",
            emails=len(send_ids),
            send_id=send_ids[0] if len(send_ids) == 1 else None,
        )
        if not ended.is_ready:
            await self._pause()
        while len(self._processes) < self._size:  # `switch` may have replaced all
            try:
                await self._start_one()
                return
            except OSError as error:
                log.error("a renderer process cannot be started, trying again", error=error, pause_s=self._pause_s)
            await self._pause()

    async def _pause(self) -> None:
        pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_PAUSE_S)
        await asyncio.sleep(pause_s)

    async def _look(self) -> None:
        """End renderers that are silent for too long."""
        loop, interval_s = asyncio.get_running_loop(), self._silence_s / 30
        while True:
            due = loop.time() + interval_s
            await asyncio.sleep(interval_s)
            now = loop.time()
            for process in self._all:
                # While this process stood still, results may have come that it has not read.
                process.progress_at += now - due
                limit_s = self._silence_s if process.is_ready else START_S
                if process.is_expected and now - process.progress_at > limit_s:
                    process.is_killed = True
                    process.kill()
