"""The road to the mail server: a pool of warm connections, and what the server's answers mean."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import aiosmtplib

_QUEUED = re.compile(r"queued as (\S+)|\bid=(\S+)", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")
#: Enhanced status codes (RFC 3463) that speak of us, not of the mailbox: a refusal for them says nothing about the address.
_OUR_FAULT = ("5.7.", "5.5.", "5.6.", "5.3.", "5.4.")


@dataclass(frozen=True)
class Accepted:
    """The server took the mail; `queue_id` is its own name for it, if it told."""

    queue_id: str | None


@dataclass(frozen=True)
class Refused:
    """The server said no: 4xx (`is_final` False) or 5xx. `is_hard`: the mailbox does not exist. `text` holds no address."""

    code: int
    text: str

    @property
    def is_final(self) -> bool:
        """Whether another attempt is of no use."""
        return self.code >= 500

    @property
    def is_hard(self) -> bool:
        """Whether the address itself is dead."""
        return self.is_final and self.code in (550, 551, 553, 521) and not any(s in self.text for s in _OUR_FAULT)


@dataclass(frozen=True)
class Unknown:
    """The connection broke after the data had begun: the server may have taken the mail."""

    text: str


@dataclass(frozen=True)
class ServerDown:
    """No data was sent: the server does not answer, or refuses us as a whole."""

    text: str


Answer: TypeAlias = Accepted | Refused | Unknown | ServerDown


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where mails are handed over, and how. `tls` is none, starttls or tls (from the first byte)."""

    host: str
    port: int
    tls: str = "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    connections: int = 4
    timeout_s: float = 30.0
    context: ssl.SSLContext | None = field(default=None, repr=False)


class SmtpPool:
    """Up to `server.connections` connections, kept warm, each with one mail at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._idle: list[aiosmtplib.SMTP] = []
        self._slots = asyncio.Semaphore(server.connections)

    async def send(self, sender: str, recipient: str, data: bytes, before_data: Callable[[], None]) -> Answer:
        """Hand one mail over. `before_data` runs right before the data begins: after it the mail may have left."""
        async with self._slots:
            begun = False
            # A warm connection may have been closed by the server meanwhile: then, and only before the data, a fresh one is tried.
            for is_last in (False, True):
                client: aiosmtplib.SMTP | None = None
                try:
                    client = self._idle.pop() if self._idle and not is_last else await self._connect()
                    await client.mail(sender)
                    await client.rcpt(recipient)
                    before_data()
                    begun = True
                    _, text = await client.data(data)
                except aiosmtplib.SMTPResponseException as error:
                    await self._recycle(client, error.code)
                    if error.code == 421 or client is None:
                        return ServerDown(_plain(error.message))
                    return Refused(error.code, f"{error.code} {_plain(error.message)}")
                except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                    _drop(client)
                    if begun:
                        return Unknown(type(error).__name__)
                    if is_last:
                        return ServerDown(f"{type(error).__name__} at {self._server.host}:{self._server.port}")
                else:
                    self._idle.append(client)
                    return Accepted(_queue_id(text))
            return ServerDown("no connection")

    async def close(self) -> None:
        """Say goodbye on all idle connections."""
        while self._idle:
            client = self._idle.pop()
            try:
                await client.quit(timeout=2)
            except (aiosmtplib.SMTPException, OSError, TimeoutError):
                _drop(client)

    async def _connect(self) -> aiosmtplib.SMTP:
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "tls",
            start_tls=server.tls == "starttls",
            tls_context=server.context,
            username=server.username,
            password=server.password,
            timeout=server.timeout_s,
        )
        await client.connect()
        await client.ehlo()
        return client

    async def _recycle(self, client: aiosmtplib.SMTP | None, code: int) -> None:
        if client is None:
            return
        try:
            if code == 421:
                raise aiosmtplib.SMTPServerDisconnected("closing")
            await client.rset(timeout=5)
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            _drop(client)
        else:
            self._idle.append(client)


def _drop(client: aiosmtplib.SMTP | None) -> None:
    if client is not None:
        client.close()


def _queue_id(text: str) -> str | None:
    found = _QUEUED.search(text)
    return (found.group(1) or found.group(2)) if found else None


def _plain(text: str) -> str:
    return _ADDRESS.sub("<address>", " ".join(text.split()))[:300]
