"""Opening of a connection: TCP, TLS, EHLO and login by aiosmtplib, whose transport the connection then takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import aiosmtplib

from streams.mail.delivery.bounces import Phase
from streams.mail.delivery.smtp.answers import ServerDown
from streams.mail.delivery.smtp.connection import Connection
from streams.mail.delivery.smtp.replies import MAX_CHARACTERS, status_of, without_addresses
from streams.mail.delivery.smtp.server import Server

_FAILURES = (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError)


class OpeningFailed(Exception):
    """No connection could be opened. `answer` says why."""

    def __init__(self, answer: ServerDown) -> None:
        super().__init__(answer.text)
        self.answer = answer


async def open_connection(server: Server, on_closed: Callable[[Connection], None]) -> Connection:
    """Return a connection that is ready for emails.

    Args:
        server: where and how to connect.
        on_closed: called when the connection is no longer usable.

    Raises:
        OpeningFailed: the server is unreachable, or it refused the connection, TLS, the name of this host, or the login.
    """
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        local_hostname=server.helo_name,
        use_tls=server.tls == "tls",
        start_tls=False,
        tls_context=server.context,
        timeout=server.timeouts.command_s,
    )
    phase: Phase = "connect"
    try:
        await _connect(client, server)
        phase = "helo"
        await _hello(client)
        if server.tls == "starttls":
            phase = "connect"
            await client.starttls()
            phase = "helo"
            await _hello(client)
        if server.username is not None:
            phase = "auth"
            await client.login(server.username, server.password or "")
        if client.transport is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        has_utf8 = client.supports_extension("smtputf8")
        connection = Connection(client.supports_extension("pipelining"), server.timeouts, on_closed, has_utf8=has_utf8)
        connection.take_over(cast(asyncio.Transport, client.transport))
        if not connection.is_usable:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    except _FAILURES as error:
        client.close()
        raise OpeningFailed(_answer(server, phase, error)) from error
    except BaseException:
        client.close()
        raise
    return connection


async def _connect(client: aiosmtplib.SMTP, server: Server) -> None:
    """Connect, and wait for the greeting, which may take longer than the connection."""
    opening = asyncio.ensure_future(client.connect(timeout=server.timeouts.greeting_s))
    try:
        await asyncio.wait({opening}, timeout=server.timeouts.connect_s)
        if not opening.done() and client.protocol is None:
            raise TimeoutError(f"no connection within {server.timeouts.connect_s:g} s")
        await opening
    finally:
        opening.cancel()


async def _hello(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo()  # RFC 5321 3.2: a server without extensions


def _answer(server: Server, phase: Phase, error: Exception) -> ServerDown:
    code, status = None, None
    if isinstance(error, aiosmtplib.SMTPResponseException):
        raw = error.message.encode("utf-8", errors="surrogateescape")  # aiosmtplib decodes replies like this
        code, status = error.code, status_of(error.code, raw)
        text = f"{error.code} {without_addresses(raw)}"
    else:
        text = f"{type(error).__name__} {without_addresses(str(error).encode(errors='replace'))}".rstrip()
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        text = f"login rejected: {text} (hint: check SMTP_USERNAME and SMTP_PASSWORD(_FILE))"
    return ServerDown(f"{server.host}:{server.port}: {text}"[: 2 * MAX_CHARACTERS], phase, code, status)
