"""The dispatch of one batch: marks its emails in slices, sends them concurrently, and records the outcomes. Independent of Kafka.

While one slice is sent, the ledger records the next one and the outcomes of the one before, so that sending never waits for the ledger.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import structlog

from streams.mail.attempt import Attempt, Item, Refusal, Trouble
from streams.mail.command import Command
from streams.mail.delivery.recording import Planned, SendLedger
from streams.mail.delivery.smtp.answers import ServerDown
from streams.mail.delivery.window import WINDOW_S, LeaseExpired
from streams.mail.held_refusals import HeldRefusals
from streams.mail.report import Report
from streams.mail.server_health import PAUSES_S, TRIES_ALONE, ServerHealth

log = structlog.get_logger(__name__)

#: Least seconds between two records of the ledger, for each of the batches that are sent at once: one record then has several emails.
PACE_S = 0.02
#: Seconds after which the dispatch looks again whether it must stop.
POLL_S = 0.05


class Dispatch:
    """Sends the emails of one batch.

    Args:
        attempt: attempts one email.
        defer: returns the report of an email whose trouble is its own.
        leave: returns the report of an email whose answer the batch no longer waits for. Its attempt continues.
        ledger: records what is sent.
        health: the state of the server, shared by all batches.
        senders: how many emails are attempted at once.
        patience_s: seconds that the last emails of a batch may wait for an answer while the server answers others.
        is_stopping: returns whether no email may begin any more.
        on_pause: called with True when this batch pauses, and with False when it resumes.
    """

    def __init__(
        self,
        attempt: Attempt,
        defer: Callable[[Command, Trouble], Report],
        leave: Callable[[Item], Report],
        ledger: SendLedger,
        health: ServerHealth,
        *,
        senders: int,
        patience_s: float,
        is_stopping: Callable[[], bool],
        on_pause: Callable[[bool], None],
    ) -> None:
        self._attempt = attempt
        self._defer = defer
        self._leave = leave
        self._ledger = ledger
        self._health = health
        self._senders = senders
        self._patience_s = patience_s
        self._is_stopping = is_stopping
        self._on_pause = on_pause
        self._now = asyncio.get_running_loop().time
        self._tasks: set[asyncio.Task[None]] = set()
        self._todo: deque[Item] = deque()
        self._ready: asyncio.Queue[Item] = asyncio.Queue()
        self._active: set[Item] = set()
        #: Emails that met trouble, until it is known whether it is their own.
        self._suspects: list[tuple[Item, Trouble]] = []
        self._refusals = HeldRefusals(health)
        self._reports: list[Report] = []
        self._recorded = 0
        self._changed = asyncio.Event()
        #: Whether the next record is due, and waits for its pace. Only an idle server makes it earlier.
        self._is_paced = False
        self._is_down = self._is_paused = False
        self._pauses = self._reports_at_pause = 0
        self._advanced_at = float("-inf")

    async def run(self, planned: Iterable[Planned]) -> list[Report]:
        """Send the emails, and return their reports. An email that a stop prevented has none.

        An email that is on the wire at a stop is waited for.
        """
        self._todo.extend(Item(*item) for item in planned)
        for _ in range(min(self._senders, len(self._todo))):
            self._tasks.add(asyncio.ensure_future(self._send_next()))
        self._ledger.add_listener(self._changed.set)
        try:
            while self._todo or self._suspects or self._refusals or self._is_sending:
                await self._step()
                for task in self._tasks:
                    if task.done():
                        task.result()  # raises: it only ends with an error
        finally:
            self._ledger.remove_listener(self._changed.set)
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if self._is_paused:
                self._on_pause(False)
        return self._reports

    async def _step(self) -> None:
        if self._is_stopping():
            self._stop()
        self._judge_suspects()
        if self._is_down and not self._active:
            await self._pause()
            return
        self._give_up_slow()
        begin = [] if self._is_down else self._take()
        self._reports += self._refusals.decide(is_last=not (begin or self._is_sending))
        is_due = bool(begin) or len(self._reports) > self._recorded
        if not (begin or self._todo or self._suspects or self._is_sending):
            return  # the batch's commit records what is left
        # The window holds what the server takes in `WINDOW_S`, so a slower pace would stop the server.
        wait_s = self._advanced_at + min(PACE_S * self._ledger.sharers, WINDOW_S) - self._now()
        if (is_due and (wait_s <= 0 or (begin and not self._is_sending))) or self._ledger.is_overdue:
            await self._advance(begin)
            return
        self._todo.extendleft(reversed(begin))
        self._is_paced = is_due
        await self._wait_for_change(min(wait_s, POLL_S) if is_due else POLL_S)
        self._is_paced = False

    @property
    def _is_sending(self) -> bool:
        """Whether emails that are recorded are on their way."""
        return bool(self._active) or not self._ready.empty()

    async def _wait_for_change(self, timeout_s: float) -> None:
        """Wait until an attempt has ended, at most `timeout_s` seconds."""
        self._changed.clear()
        # `asyncio.wait_for` would make a task of its own.
        timer = asyncio.get_running_loop().call_later(timeout_s, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()

    def _take(self) -> list[Item]:
        """Remove the emails of the next slice from those to do."""
        begin: list[Item] = []
        room = self._ledger.room_after(self._reports[self._recorded :])
        while self._todo and (room > 0 or self._todo[0].is_recorded):
            item = self._todo.popleft()
            room -= item.must_be_recorded and not item.is_recorded
            begin.append(item)
        return begin

    async def _advance(self, begin: Sequence[Item]) -> None:
        done = self._reports[self._recorded :]
        self._recorded = len(self._reports)
        record = [(item.command, item.plan) for item in begin if item.must_be_recorded]
        await self._ledger.advance(record, done)
        self._advanced_at = self._now()
        for item in begin:
            item.is_recorded = True
            self._ready.put_nowait(item)

    async def _send_next(self) -> None:
        """Attempt emails until cancelled, or until the batch no longer waits for one of them."""
        while True:
            item = await self._ready.get()
            if self._is_down or self._is_stopping():
                self._todo.appendleft(item)
            else:
                self._active.add(item)
                try:
                    await self._send(item)
                finally:
                    self._active.discard(item)
                if item.is_left:
                    return
            if not (self._is_paced and self._is_sending):
                self._changed.set()

    async def _send(self, item: Item) -> None:
        item.task = asyncio.current_task()
        item.is_begun = item.is_given_up = False
        item.since, item.worked = self._now(), self._health.worked

        def begin() -> None:
            if item.is_given_up or item.is_left or self._is_stopping() or not self._ledger.may_begin:
                raise LeaseExpired
            item.is_begun, item.begun_at, item.is_again = True, self._now(), item.plan == "resend"

        try:
            result = await self._attempt(item, begin)
        except LeaseExpired:
            if not item.is_left:
                self._todo.appendleft(item)
            return
        except asyncio.CancelledError:
            if not item.is_given_up or item.task is None:
                raise
            item.task.uncancel()
            result = Trouble(item.plan, ServerDown("no answer"))
            if self._is_stopping():
                self._todo.appendleft(item)
                return
        if item.is_left or result is None:
            return
        if isinstance(result, Report):
            self._reports.append(result)
        elif isinstance(result, Refusal):
            self._refusals.add(result)
        else:
            item.plan = result.plan
            if result.is_outage:
                self._note_outage(result)
                self._todo.appendleft(item)
            else:
                item.tries += 1
                self._health.note_trouble(item.command.send_id)
                self._suspects.append((item, result))

    def _note_outage(self, trouble: Trouble) -> None:
        if not self._is_paused and not self._is_down:
            log.warning("mail server unavailable, pausing", reason=trouble.answer.text)
        self._is_down = True

    def _judge_suspects(self) -> None:
        """Decide about emails that met trouble: it is their own if a neighbour got through, and the server's if others fail too."""
        suspects, self._suspects = self._suspects, []
        for item, trouble in suspects:
            if self._health.worked > item.worked:
                self._reports.append(self._defer(item.command, trouble))
            elif self._health.is_down:
                self._note_outage(trouble)
                self._todo.appendleft(item)
            elif self._todo or self._is_sending:
                self._suspects.append((item, trouble))  # its neighbours will show
            elif item.tries < TRIES_ALONE and isinstance(trouble.answer, ServerDown):
                self._todo.appendleft(item)
            else:
                self._reports.append(self._defer(item.command, trouble))

    async def _pause(self) -> None:
        """Wait until the server may be available again."""
        if not self._is_paused:
            self._is_paused = True
            self._on_pause(True)
        await self._advance([])
        if len(self._reports) > self._reports_at_pause:
            self._pauses = 0
        self._reports_at_pause = len(self._reports)
        pause_s = PAUSES_S[min(self._pauses, len(PAUSES_S) - 1)]
        self._pauses += 1
        for _ in range(round(pause_s / POLL_S)):
            if self._is_stopping():
                break
            await asyncio.sleep(POLL_S)
        self._is_down = False

    def _give_up_slow(self) -> None:
        """Give up the last emails of the batch if the server answers their neighbours and not them: a batch ends with its slowest email.

        An email that has not begun is cancelled. Those whose data has begun are left behind, once no others remain.
        """
        if self._todo or not self._ready.empty():
            return
        now = self._now()
        alone = [item for item in self._active if self._health.worked > item.worked]
        for item in alone:
            if not item.is_begun and now - item.since > self._patience_s * item.command.attempt**2:
                self._give_up(item)
        begun = [item for item in alone if item.is_begun and now - item.begun_at > self._patience_s]
        if len(begun) == len(self._active):
            for item in begun:
                self._leave_behind(item)

    def _leave_behind(self, item: Item) -> None:
        """No longer wait for an email whose data has begun. The task that sends it ends with it, and another one takes its place."""
        if item.task is not None:
            item.is_left = True
            self._active.discard(item)
            self._tasks.discard(item.task)
            self._tasks.add(asyncio.ensure_future(self._send_next()))
            self._reports.append(self._leave(item))

    def _stop(self) -> None:
        """Drop what has not begun."""
        self._todo.clear()
        self._suspects.clear()
        while not self._ready.empty():
            self._ready.get_nowait()
        for item in [item for item in self._active if not item.is_begun]:
            self._give_up(item)

    def _give_up(self, item: Item) -> None:
        if item.task is not None and not item.is_given_up:
            item.is_given_up = True
            item.task.cancel()
