"""The pool of connections to the mail server."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import structlog

from streams.mail.delivery.counting import count_answer, count_seconds
from streams.mail.delivery.smtp.answers import Answer, ServerDown
from streams.mail.delivery.smtp.channel import CLOSING
from streams.mail.delivery.smtp.connection import Connection, NotTried, Written
from streams.mail.delivery.smtp.opening import OpeningFailed, open_connection
from streams.mail.delivery.smtp.rate_limits import RateLimits
from streams.mail.delivery.smtp.server import Server
from streams.observability import metrics

log = structlog.get_logger(__name__)

Open: TypeAlias = Callable[[Server, Callable[[Connection], None]], Awaitable[Connection]]

#: Seconds after which an idle connection is not used. A firewall may have dropped it, and an email sent through it would hang.
FRESH_S = 20.0
#: Seconds for which an email waits behind another one on its connection. Then it moves, if another connection is idle.
PATIENCE_S = 1.0
#: Seconds without a new connection after the server refused one although others are open. Many servers limit their number.
HOLD_BACK_S = 30.0
#: Seconds to wait for the answer to QUIT.
_QUIT_S = 2.0


class SmtpPool:
    """Up to `server.connections` connections, opened on demand and kept open. For one event loop.

    Up to half as many more are opened while emails that were left behind hold connections: see `leave_behind`.

    If the server offers PIPELINING, the envelope of an email is sent while the email before it waits for its answer (RFC 2920 3.1). That
    ends for all connections once the server has omitted the answer to an email.

    Args:
        server: the mail server.
        limits: how many emails may be sent per second.
        open_connection: opens a connection, or raises `OpeningFailed`.
    """

    def __init__(
        self, server: Server, limits: RateLimits | None = None, open_connection: Open = open_connection
    ) -> None:
        self._server = server
        self._limits = limits or RateLimits()
        self._open_connection = open_connection
        self._open: set[Connection] = set()
        self._opening = 0
        self._is_following = True
        self._hold_back_until = 0.0
        #: The task that sends an email -> the connection on which the server has the whole email and has not answered.
        self._unanswered: dict[asyncio.Task[Any], Connection] = {}
        #: Connections whose unanswered email was left behind.
        self._left: set[Connection] = set()
        self._quitting: set[asyncio.Task[None]] = set()
        #: Connections on which an email may begin. Some wait for the answer to the email before it.
        self._ready: list[Connection] = []
        #: Emails that wait for a connection. The result is None, or the outage that answers all of them.
        self._waiters: deque[asyncio.Future[ServerDown | None]] = deque()
        self._tick: asyncio.TimerHandle | None = None
        metrics.SMTP_CONNECTIONS_LIMIT.set(server.connections)

    @property
    def size(self) -> int:
        """The number of emails that can be sent at once: per connection, one that is written and one whose envelope is sent."""
        return 2 * self._server.connections

    @property
    def answer_timeout_s(self) -> float:
        """The seconds after its data began at which an email has an answer, or its connection is closed."""
        return self._server.timeouts.dot_s

    async def send(self, sender: str, recipient: str, data: bytes, on_begun: Callable[[], None]) -> Answer:
        """Send one email and return the server's answer. It may be cancelled until `on_begun` is called.

        Args:
            sender, recipient: the addresses of the SMTP envelope.
            data: the message as `compose` returns it. All its lines end with CRLF.
            on_begun: called right before the message is written. From then on the email may have left. Before it, the email waits for
                the rate limits, for a connection, and for the answers to its envelope.
        """
        await self._limits.wait(recipient)
        answer = await self._deliver(sender.encode(), recipient.encode(), data, on_begun)
        count_answer(recipient, answer)
        return answer

    def leave_behind(self, task: asyncio.Task[Any]) -> None:
        """Note that nobody waits for the email that `task` sends. Its connection may stay silent for the whole timeout of the answer.

        Such connections do not count against the limit, so that other emails are sent meanwhile. At most half the limit is added: a server
        that is silent on all of these has no use for more, and many limit the connections of one client. One that refuses a further connection
        is held back as usual.

        The connection is not closed: the server may still accept the email, and its outcome would be unknown (RFC 5321 4.5.3.2.6).
        """
        connection = self._unanswered.get(task)
        if connection is not None:
            self._left.add(connection)
            self._wake()

    async def close(self) -> None:
        """Close all idle connections."""
        idle, self._ready = self._ready, []
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        await asyncio.gather(*(connection.quit(_QUIT_S) for connection in idle))

    async def _deliver(self, sender: bytes, recipient: bytes, data: bytes, on_begun: Callable[[], None]) -> Answer:
        failures = 0
        while True:
            connection = await self._take(is_new_better=failures > 0)
            if isinstance(connection, ServerDown):
                return connection
            if not connection.is_idle and self._tick is None:
                self._tick = asyncio.get_running_loop().call_later(PATIENCE_S, self._move_waiting)
            started = time.perf_counter()
            try:
                answer = await connection.begin(sender, recipient, data, on_begun)
                if isinstance(answer, Written) and not connection.may_follow:
                    answer = await self._finish(connection, answer)
            finally:
                self._give_back(connection)
            if isinstance(answer, Written):
                answer = await self._finish(connection, answer)
                self._retire(connection)
            if isinstance(answer, NotTried):
                continue
            count_seconds(answer, time.perf_counter() - started)
            # The server may have closed an idle connection, or it limits the emails per connection. A new connection decides.
            if not _may_be_connection(answer) or not connection.answered or failures == self._server.connections:
                return answer
            failures += 1

    async def _finish(self, connection: Connection, written: Written) -> Answer:
        """Return the server's answer to a written email."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an email is sent by a task")
        self._unanswered[task] = connection
        try:
            return await connection.finish(written)
        finally:
            del self._unanswered[task]
            if connection in self._left:
                self._left.discard(connection)
                self._wake()  # no email waits behind it

    async def _take(self, *, is_new_better: bool) -> Connection | ServerDown:
        """Return a connection on which an email may begin, or the outage."""
        is_woken = False
        while True:
            if is_woken or not self._waiters:
                connection = None if is_new_better and self._may_open() else self._pick(is_idle=True)
                if connection is None and self._may_open():
                    opened = await self._connect()
                    if opened is not None:
                        return opened
                    is_woken = True  # it was its turn
                    continue
                connection = connection or self._pick(is_idle=False)
                if connection is not None:
                    return connection
            waiter: asyncio.Future[ServerDown | None] = asyncio.get_running_loop().create_future()
            (self._waiters.appendleft if is_woken else self._waiters.append)(waiter)
            try:
                outage = await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()
                raise
            if outage is not None:
                return outage
            is_woken = True

    def _pick(self, *, is_idle: bool) -> Connection | None:
        """Remove and return a ready connection: if `is_idle` the last one without an email in flight, otherwise the first."""
        for connection in reversed(self._ready) if is_idle else self._ready:
            if connection.is_idle or not (is_idle or connection in self._left):
                self._ready.remove(connection)
                if connection.is_silent_since(FRESH_S):
                    connection.close("idle for too long")
                    return self._pick(is_idle=is_idle)
                return connection
        return None

    def _may_open(self) -> bool:
        return self._surplus < 0 and not (self._open and asyncio.get_running_loop().time() < self._hold_back_until)

    @property
    def _surplus(self) -> int:
        """How many connections more than allowed are open; negative if more may be opened."""
        limit = self._server.connections
        return len(self._open) + self._opening - limit - min(len(self._left), (limit + 1) // 2)

    async def _connect(self) -> Connection | ServerDown | None:
        """Return a new connection, the outage, or None if the email can use another connection."""
        self._opening += 1
        self._show_open()
        try:
            connection = await self._open_connection(self._server, self._forget)
            connection.is_following &= self._is_following
            self._open.add(connection)
        except OpeningFailed as failure:
            outage = failure.answer
        except asyncio.CancelledError:
            self._wake()  # another email may open it
            raise
        else:
            return connection
        finally:
            self._opening -= 1
            self._show_open()
        if self._open:
            self._hold_back_until = asyncio.get_running_loop().time() + HOLD_BACK_S
            self._wake()
            return None
        if not self._opening:
            # Only one email waits for the timeout of a server that is down.
            while self._waiters:
                self._wake(outage)
        return outage

    def _give_back(self, connection: Connection) -> None:
        if connection.is_ready:
            self._ready.append(connection)
            self._retire(connection)
            self._wake()

    def _retire(self, connection: Connection) -> None:
        """Close an idle connection if there are too many: an email that was left behind has its answer."""
        if self._surplus > 0 and connection.is_idle and connection in self._ready:
            self._ready.remove(connection)
            task = asyncio.ensure_future(connection.quit(_QUIT_S))
            self._quitting.add(task)
            task.add_done_callback(self._quitting.discard)

    def _wake(self, outage: ServerDown | None = None) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(outage)
                return

    def _forget(self, connection: Connection) -> None:
        """Remove a connection that was closed."""
        self._open.discard(connection)
        self._left.discard(connection)
        if connection in self._ready:
            self._ready.remove(connection)
        if connection.missing is not None:
            log.warning(
                "a reply of the mail server is missing, and the email before it may count as accepted: "
                "from now on, each email waits for the answer to the one before it",
                reason=connection.missing,
            )
            self._is_following = False
            for other in self._open:
                other.is_following = False
        self._show_open()
        self._wake()

    def _move_waiting(self) -> None:
        """Let emails that wait behind a slow one use idle connections."""
        self._tick = None
        for connection in list(self._open):
            if self._may_open() or any(other.is_idle for other in self._ready):
                connection.release_waiting(PATIENCE_S)
        if any(connection.has_waiting for connection in self._open):
            self._tick = asyncio.get_running_loop().call_later(PATIENCE_S, self._move_waiting)

    def _show_open(self) -> None:
        metrics.SMTP_CONNECTIONS.set(len(self._open) + self._opening)


def _may_be_connection(answer: Answer) -> bool:
    """Return whether another connection may give another answer. The message was not written on this one."""
    if not isinstance(answer, ServerDown) or answer.is_connecting or answer.is_timeout or answer.phase == "dot":
        return False
    return answer.code is None or answer.code == CLOSING
