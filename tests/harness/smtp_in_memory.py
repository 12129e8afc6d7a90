"""A fake SMTP server without sockets: the bytes of its replies, and when and how they arrive, are set by a test.

It keeps the truth about each email: what it accepted. A test compares that with the outcome that the client reports.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from streams.mail.delivery.smtp.connection import Connection
from streams.mail.delivery.smtp.opening import OpeningFailed
from streams.mail.delivery.smtp.server import Server

#: The reply to each command that a well-behaved server gives.
GOOD = {
    "MAIL": b"250 2.1.0 Ok\r\n",
    "RCPT": b"250 2.1.5 Ok\r\n",
    "DATA": b"354 End data with <CR><LF>.<CR><LF>\r\n",
    "RSET": b"250 2.0.0 Ok\r\n",
    "QUIT": b"221 2.0.0 Bye\r\n",
    ".": b"250 2.0.0 Ok: queued as Q1\r\n",
}
#: In the place of a reply: the server closes the connection.
CLOSE = b"close"
#: In the place of a reply: the server is silent from now on.
SILENCE = b"silence"
#: In the place of a reply: the server sends nothing, and goes on. It does not accept an email whose final dot it passes over.
OMIT = b"omit"

_ONE_REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\n")


@dataclass
class Script:
    """The behaviour of the server.

    Attributes:
        reply: returns the reply to a command (a key of `GOOD`) for the email to a recipient, which is empty before RCPT.
        chunks: divides the bytes of replies into those that arrive together, each after a delay in seconds.
        close_after: the number of bytes after which the connection closes, per connection in order; None for never.
        is_pipelining: whether it offers PIPELINING.
        has_utf8: whether it offers SMTPUTF8.
        is_strict: whether it refuses DATA without a recipient. Others answer 354 (RFC 2920 3.1).
        is_refusing: returns whether connection number n is refused; from 0.
    """

    reply: Callable[[str, str], bytes] = lambda command, recipient: GOOD[command]
    chunks: Callable[[bytes], Iterable[tuple[float, bytes]]] = lambda data: [(0.0, data)]
    close_after: list[int | None] = field(default_factory=list)
    is_pipelining: bool = True
    has_utf8: bool = False
    is_strict: bool = True
    is_refusing: Callable[[int], Any] = lambda number: None


class InMemoryServer:
    """The server. `open_connection` is the opener of a pool.

    Attributes:
        accepted: recipient and message of each accepted email, in order.
        commands: the commands in the order of their arrival, each with its reply.
        connections: the number of connections.
        writes: what the client sent together, in order.
        violations: commands that no client may send.
    """

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.accepted: list[tuple[str, bytes]] = []
        self.commands: list[str] = []
        self.connections = 0
        self.writes: list[bytes] = []
        self.at_once = self.most_at_once = 0
        self.violations: list[str] = []

    async def open_connection(self, server: Server, on_closed: Callable[[Connection], None]) -> Connection:
        """Open a connection, as `opening.open_connection` does."""
        number, self.connections = self.connections, self.connections + 1
        await asyncio.sleep(0)
        refusal = self.script.is_refusing(number)
        if refusal is not None:
            raise OpeningFailed(refusal)
        connection = Connection(self.script.is_pipelining, server.timeouts, on_closed, has_utf8=self.script.has_utf8)
        limits = self.script.close_after
        connection.take_over(_Session(self, limits.pop(0) if limits else None))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        return connection


class _Session(asyncio.Transport):
    """One connection: the client's transport, and the server behind it."""

    def __init__(self, server: InMemoryServer, close_after: int | None) -> None:
        super().__init__()
        self._server = server
        self._left = close_after
        self._loop = asyncio.get_running_loop()
        self._client: asyncio.Protocol | None = None
        self._is_closed = self._is_silent = False
        self._is_regular = True  # each command has had one whole reply
        self._buffer = b""
        self._unanswered = 0
        self._sender = self._recipient = ""
        self._is_data = False
        self._at = 0.0
        self._queue: deque[Callable[[], None]] = deque()

    # The transport of the client

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give received bytes to `protocol`."""
        assert isinstance(protocol, asyncio.Protocol)
        self._client = protocol

    def is_closing(self) -> bool:
        """Return whether the connection is closed."""
        return self._is_closed

    def abort(self) -> None:
        """Close the connection."""
        if not self._is_closed:
            self._is_closed = True
            self._server.at_once -= 1
            assert self._client is not None
            self._loop.call_soon(self._client.connection_lost, None)

    def write(self, data: Any) -> None:
        """Execute the commands in `data`."""
        assert not self._is_closed, "a write on a closed connection"
        self._server.writes.append(bytes(data))
        if not self._server.script.is_pipelining and self._unanswered and self._is_regular:
            self._server.violations.append("a command before the reply, without PIPELINING")
        self._buffer += data
        while not self._is_closed and not self._is_silent and self._execute():
            pass

    # The server

    def _execute(self) -> bool:
        if self._is_data:
            start = b"\r\n" + self._buffer
            end = start.find(b"\r\n.\r\n")
            if end < 0:
                return False
            message, self._buffer = start[2 : end + 2], start[end + 5 :]
            self._is_data = False
            self._answer(".", message.replace(b"\r\n..", b"\r\n.").removeprefix(b"."))
            self._sender = self._recipient = ""
            return True
        line, end_of_line, rest = self._buffer.partition(b"\r\n")
        if not end_of_line:
            return False
        self._buffer = rest
        command = line[:4].decode()
        if command == "DATA" and rest:
            self._server.violations.append("DATA was not the last command of its group")
        if command not in GOOD:
            self._server.violations.append(f"unknown command {line!r}")
        if command == "MAIL" and line.endswith(b" SMTPUTF8") and not self._server.script.has_utf8:
            self._server.violations.append("a parameter that was not offered")
        if command == "MAIL" and self._sender:
            self._server.violations.append("a nested MAIL")
        self._answer(command, line)
        return True

    def _answer(self, command: str, argument: bytes) -> None:
        address = (
            argument[argument.find(b"<") + 1 : argument.find(b">")].decode() if command in ("MAIL", "RCPT") else ""
        )
        reply = self._server.script.reply(command, address if command == "RCPT" else self._recipient)
        code = (GOOD[command] if reply == OMIT and command != "." else reply)[:1]
        is_strict = self._server.script.is_strict or code != b"3"
        if (command == "RCPT" and not self._sender) or (command == "DATA" and not self._recipient and is_strict):
            reply = reply if reply in (CLOSE, SILENCE, OMIT) else b"503 5.5.1 Bad sequence of commands\r\n"
        elif command == "MAIL" and code == b"2":
            self._sender = address
        elif command == "RCPT" and code == b"2":
            self._recipient = address
        elif command == "DATA" and code == b"3":
            self._is_data = True
        elif command == "RSET":
            self._sender = self._recipient = ""
        elif command == "." and self._recipient and code == b"2":
            self._server.accepted.append((self._recipient, argument))
        self._server.commands.append(f"{command} {reply!r}")
        self._is_regular = self._is_regular and _ONE_REPLY.fullmatch(reply) is not None
        if reply == SILENCE:
            self._is_silent = True
        elif reply == CLOSE:
            self._later(0.0, self._end)
        elif reply != OMIT:
            self._unanswered += 1
            for number, (delay, chunk) in enumerate(self._server.script.chunks(reply)):
                self._later(delay, partial(self._deliver, chunk, number == 0))

    def _later(self, delay: float, call: Callable[[], None]) -> None:
        # In order: no chunk overtakes another.
        self._at = max(self._at, self._loop.time()) + delay
        self._queue.append(call)
        self._loop.call_at(self._at, lambda: self._queue.popleft()())

    def _deliver(self, chunk: bytes, is_first: bool) -> None:
        self._unanswered -= is_first
        if self._is_closed or self._client is None:
            return
        if self._left is not None:
            chunk, self._left = chunk[: self._left], self._left - len(chunk)
        if chunk:
            self._client.data_received(chunk)
        if self._left is not None and self._left <= 0:
            self._end()

    def _end(self) -> None:
        if not self._is_closed and self._client is not None:
            self._client.eof_received()
            self.abort()
