"""One open connection as a sequence of commands and replies: an asyncio protocol with a timeout per command."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from streams.mail.delivery.bounces import Phase
from streams.mail.delivery.smtp.replies import Reply, ReplyParser
from streams.mail.delivery.smtp.server import Timeouts

#: The server closes the connection after this reply.
CLOSING = 421
_QUIT: Final[tuple[Phase, ...]] = ("helo",)


class Cut(Exception):
    """The connection ended before all replies came.

    Attributes:
        is_blamed: whether the cause may be the email that waits for these replies.
        is_timeout: whether the server was silent for too long.
    """

    def __init__(self, text: str, is_blamed: bool, is_timeout: bool) -> None:
        super().__init__(text)
        self.text = text
        self.is_blamed = is_blamed
        self.is_timeout = is_timeout


class Expected:
    """Replies that are expected for the commands of one write, in order.

    Attributes:
        phases: one for each reply.
        replies: those that have arrived.
        future: done when all have arrived, or with `Cut`.
        is_email: whether an email waits for them.
        is_left: whether nobody waits for them any more. The server must not go on then: the connection is closed when it is their turn.
        is_out_of_step: whether they may answer other commands.
        since: the time of the write, on the clock of the event loop.
    """

    __slots__ = ("future", "is_email", "is_left", "is_out_of_step", "phases", "replies", "since")

    def __init__(self, phases: tuple[Phase, ...], is_email: bool, since: float) -> None:
        self.phases = phases
        self.replies: list[Reply] = []
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_email = is_email
        self.is_left = self.is_out_of_step = False
        self.since = since

    def fail(self, cut: Cut) -> None:
        """End the waiting for the missing replies."""
        if not self.future.done():
            self.future.set_exception(cut)
            self.future.exception()  # nobody may wait for it


class Channel(asyncio.Protocol):
    """Writes commands, and gives each its replies. Several commands may wait (RFC 2920).

    Args:
        timeouts: how long to wait for each reply.
        on_closed: called once, when the connection is no longer open.
    """

    def __init__(self, timeouts: Timeouts, on_closed: Callable[[], None]) -> None:
        self._timeouts: dict[Phase, float] = {
            "helo": timeouts.command_s,
            "mail": timeouts.envelope_s,
            "rcpt": timeouts.envelope_s,
            "data": timeouts.data_s,
            "dot": timeouts.dot_s,
        }
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = ReplyParser()
        #: The bytes that were written and are not sent yet.
        self._output: list[bytes] = []
        self._last_reply = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        #: Why the connection is closed, or None while it is open.
        self.problem: str | None = None
        #: The replies to come.
        self.expected: deque[Expected] = deque()

    def take_over(self, transport: asyncio.Transport) -> None:
        """Use `transport`, on which the server expects a command."""
        self._transport = transport
        transport.set_protocol(self)
        if transport.is_closing():
            self.close("the server closed the connection")

    @property
    def is_usable(self) -> bool:
        """Whether the connection is open."""
        return self.problem is None

    @property
    def is_idle(self) -> bool:
        """Whether no email waits for a reply."""
        return not self.expected or not self.expected[-1].is_email

    def is_silent_since(self, seconds: float) -> bool:
        """Return whether no reply has been expected for `seconds`."""
        return not self.expected and self._loop.time() - self._last_reply > seconds

    def data_received(self, data: bytes) -> None:
        """Give the replies in `data` to their commands."""
        for reply in self._parser.feed(data):
            if not self.expected:
                # Often 421, because the connection was idle for too long. Another reply would be taken for that to the next command.
                self._note_unexpected(reply)
                self.close(f"unexpected reply: {reply.text}")
                return
            self._receive(reply)
        if self._parser.problem is not None:
            self.close(self._parser.problem)
        elif not self.expected and not self._parser.is_between_replies:
            self.close("unexpected bytes between two commands")

    def eof_received(self) -> None:
        """End the connection: the server sends nothing more."""
        self.close("the server closed the connection")

    def connection_lost(self, error: Exception | None) -> None:
        """End the connection."""
        self.close(f"the connection broke: {type(error).__name__}" if error else "the server closed the connection")

    def write(self, data: bytes, phases: tuple[Phase, ...], *, is_email: bool = True) -> Expected:
        """Write commands, and return the replies to come, one for each of `phases`.

        Args:
            data: the commands, or a message.
            phases: what each reply answers, which determines its timeout.
            is_email: whether an email waits for them.
        """
        expected = Expected(phases, is_email, self._loop.time())
        if self._transport is None or self.problem is not None:
            expected.fail(Cut(self.problem or "not connected", False, False))
            return expected
        self.expected.append(expected)
        if not self._output:
            # The envelope of the next email is written in the next round of the loop, and leaves with this message.
            self._loop.call_soon(self._loop.call_soon, self._flush)
        self._output.append(data)
        if len(self.expected) == 1:
            self._watch()
        return expected

    def _flush(self) -> None:
        """Send what was written. A system call, and the packets that it leads to, cost as much as all else that an email needs here."""
        output, self._output = self._output, []
        if self._transport is not None and self.problem is None:
            self._transport.write(b"".join(output))

    async def quit(self, timeout_s: float) -> None:
        """Send QUIT if no reply is expected, wait up to `timeout_s` for its answer, and close the connection."""
        if self.is_usable and not self.expected:
            await asyncio.wait({self.write(b"QUIT\r\n", _QUIT, is_email=False).future}, timeout=timeout_s)
        self.close()

    def close(self, reason: str = "closed", *, is_timeout: bool = False, is_blamed: bool = True) -> None:
        """Abort the connection. Nobody waits for replies any more.

        Args:
            reason: why.
            is_timeout: whether the server was silent.
            is_blamed: whether the cause may be the email whose reply is expected next.
        """
        if self.problem is not None:
            return
        self.problem = reason
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.abort()
        for expected in self.expected:
            expected.fail(Cut(reason, is_blamed, is_timeout))
            is_blamed = False
        self.expected.clear()
        self._on_closed()

    def _note_unexpected(self, reply: Reply) -> None:
        """Note a reply that no command waits for."""

    def _receive(self, reply: Reply) -> None:
        expected = self.expected[0]
        expected.replies.append(reply)
        self._last_reply = self._loop.time()
        if len(expected.replies) == len(expected.phases):
            self.expected.popleft()
            if not expected.future.done():
                expected.future.set_result(None)
        if reply.code == CLOSING:
            self.close(reply.text, is_blamed=False)  # the command that it answers has this reply
        elif reply.code // 100 == 3 and not expected.is_email:
            self.close(f"unexpected reply: {reply.text}")  # the server waits for a message that nobody sends
        elif self.expected:
            self._watch()

    def _watch(self) -> None:
        """Start the clock of the next reply. The clock of a command starts when the reply before it has arrived."""
        first = self.expected[0]
        if first.is_left:
            self.close("an email was given up")
            return
        self._deadline = self._loop.time() + self._timeouts[first.phases[len(first.replies)]]
        if self._timer is None or self._timer.when() > self._deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(self._deadline, self._check)

    def _check(self) -> None:
        # The timer is not moved with each reply: it fires early, and then waits for the rest.
        self._timer = None
        if not self.expected or self.problem is not None:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._check)
            return
        first = self.expected[0]
        phase = first.phases[len(first.replies)]
        self.close(f"no answer within {self._timeouts[phase]:g} s", is_timeout=True)
