"""A fake SMTP server in this process, with the replies that a test sets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from streams.mail.delivery.smtp.server import Server, Timeouts

#: In the place of a reply: the server drops the connection.
DROP = "drop"


class FakeMailServer:
    """An SMTP server that replies with `answers`, then with 250, and records every email that it accepts.

    Args:
        tls: the server's TLS context; None for a server without TLS.
        is_tls_from_start: whether the server uses TLS from the first byte, instead of STARTTLS.
        login: the user name and the password that it requires, over TLS.
        is_pipelining: whether it offers PIPELINING.

    Attributes:
        answers: the replies to MAIL, RCPT and DATA, in order.
        accepted: the send ids of the accepted emails.
        bodies: the accepted emails.
        logins: the user name of each login, and whether its password was right.
        was_over_tls: for each MAIL, whether it came over TLS.
        connections: the number of connections.
        most_at_once: the largest number of simultaneous connections.
        names: the name of the client in each EHLO.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        is_tls_from_start: bool = False,
        login: tuple[str, str] | None = None,
        is_pipelining: bool = True,
    ) -> None:
        self._tls = tls
        self._is_tls_from_start = is_tls_from_start
        self._login = login
        self._is_pipelining = is_pipelining
        self.was_over_tls: list[bool] = []
        self.logins: list[tuple[str, bool]] = []
        self.answers: dict[str, list[str]] = {"mail": [], "rcpt": [], "data": []}
        self.accepted: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self.at_once = 0
        self.most_at_once = 0
        self.names: list[str] = []
        self.port = 0
        self.transports: set[asyncio.Transport] = set()
        self._listener: asyncio.Server | None = None

    def _next(self, phase: str, server: SMTP, good: str) -> str:
        answer = self.answers[phase].pop(0) if self.answers[phase] else good
        if answer == DROP:
            server.transport.abort()
        return answer

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.names.append(hostname)
        return [*responses[:-1], *(["250-PIPELINING"] if self._is_pipelining else []), responses[-1]]

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        self.was_over_tls.append(session.ssl is not None or self._is_tls_from_start)
        answer = self._next("mail", server, "250 OK")
        if answer.startswith("2"):
            envelope.mail_from = address
        return answer

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        answer = self._next("rcpt", server, "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self._next("data", server, "250 2.0.0 OK: queued as Q1")
        content = envelope.content
        assert isinstance(content, bytes)
        if answer.startswith("2") or answer == DROP:
            (line,) = [line for line in content.split(b"\r\n") if line.startswith(b"Message-ID: ")]
            self.accepted.append(line.decode().removeprefix("Message-ID: <").partition("@")[0])
            self.bodies.append(content)
        return answer

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        given = data.login.decode(), data.password.decode()
        self.logins.append((given[0], given == self._login))
        return AuthResult(success=given == self._login, handled=False)

    async def open(self) -> None:
        """Listen, on the same port as before."""
        loop = asyncio.get_running_loop()
        fake = self
        options: dict[str, Any] = {"hostname": "post.example", "ident": "fake", "loop": loop}
        if self._tls is not None and not self._is_tls_from_start:
            options["tls_context"] = self._tls
        if self._login is not None:
            # aiosmtpd does not see TLS that the listener has terminated.
            options |= {"authenticator": self._authenticate, "auth_require_tls": not self._is_tls_from_start}

        class Counted(SMTP):  # type: ignore[misc]  # aiosmtpd carries no types
            def connection_made(self, transport: Any) -> None:
                fake.connections += 1
                fake.transports.add(transport)
                fake.at_once += 1
                fake.most_at_once = max(fake.most_at_once, fake.at_once)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                fake.at_once -= 1
                fake.transports.discard(self.transport)
                super().connection_lost(error)

        self._listener = await loop.create_server(
            lambda: Counted(self, **options), "127.0.0.1", self.port, ssl=self._tls if self._is_tls_from_start else None
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening and cut all connections."""
        if self._listener is not None:
            self._listener.close()
        for transport in list(self.transports):
            if not transport.is_closing():  # Python 3.11.2 cannot abort a TLS connection that is already closed
                transport.abort()

    def server(self, **changes: Any) -> Server:
        """Return the client's settings for this server, with `changes`."""
        quick = Timeouts(greeting_s=5.0, command_s=5.0, envelope_s=5.0, data_s=5.0, dot_s=5.0)
        return Server(**{"host": "127.0.0.1", "port": self.port, "connections": 2, "timeouts": quick} | changes)


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[FakeMailServer]:
    """A server that listens; `options` are those of `FakeMailServer`."""
    server = FakeMailServer(**options)
    await server.open()
    try:
        yield server
    finally:
        server.close()
