"""Delivery to the mail server: a pool of open connections, and the meaning of the server's replies."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

import aiosmtplib

from streams.mail.delivery.bounces import BounceClass, Phase, classify
from streams.mail.delivery.providers import Provider, provider_of
from streams.observability import metrics

_QUEUED = re.compile(r"queued as (\S+)|\bid=(\S+)", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")
#: Seconds after which an idle connection is not used. A firewall may have dropped it, and an email sent through it would hang.
FRESH_S = 20.0
#: Timeout for opening a connection, in seconds. A stop waits that long.
CONNECT_S = 10.0
_CLOSING = 421
#: Lowest reply code of a refusal. A lower code is unexpected at this place (aiosmtplib gives -1 for a reply that it cannot parse).
_LEAST_REFUSAL = 400


@dataclass(frozen=True)
class Accepted:
    """The server accepted the email. `queue_id` is the server's id of it, or None if the reply has none."""

    queue_id: str | None


@dataclass(frozen=True)
class Refused:
    """The server refused this email with a 4xx or 5xx code.

    Attributes:
        code: the SMTP reply code.
        text: the server's text, without addresses.
        phase: the command that was refused.
    """

    code: int
    text: str
    phase: Phase = "rcpt"

    @property
    def is_final(self) -> bool:
        """Whether the refusal is permanent (5xx)."""
        return self.code >= 500

    @property
    def bounce_class(self) -> BounceClass:
        """The meaning of the refusal for the address."""
        return classify(self.code, self.text, self.phase)

    @property
    def is_hard(self) -> bool:
        """Whether the address is permanently dead."""
        return self.bounce_class.is_hard


@dataclass(frozen=True)
class Unknown:
    """The connection broke after the data began: the server may have accepted the email."""

    text: str


@dataclass(frozen=True)
class ServerDown:
    """The server is unreachable or refuses every email. This email was not accepted."""

    text: str


Answer: TypeAlias = Accepted | Refused | Unknown | ServerDown


@dataclass(frozen=True, kw_only=True)
class Server:
    """The mail server and how to connect to it.

    Attributes:
        host, port: its address.
        tls: `none`, `starttls`, or `tls` from the first byte.
        username, password: the login, or None.
        connections: the number of simultaneous connections.
        timeout_s: timeout of one email, in seconds.
        context: the TLS context, or None for the default.
    """

    host: str
    port: int
    tls: str = "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    connections: int = 4
    timeout_s: float = 30.0
    context: ssl.SSLContext | None = field(default=None, repr=False)


class SmtpPool:
    """Up to `server.connections` connections, opened on demand and kept open. For one event loop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._idle: list[tuple[float, aiosmtplib.SMTP]] = []
        self._slots = asyncio.Semaphore(server.connections)
        self._open = 0
        self._outages = 0
        self._outage = ServerDown("")
        metrics.SMTP_CONNECTIONS_LIMIT.set(server.connections)

    @property
    def size(self) -> int:
        """The number of emails that can be sent at once."""
        return self._server.connections

    async def send(self, sender: str, recipient: str, data: bytes, before_data: Callable[[], None]) -> Answer:
        """Send one email and return the server's answer.

        Args:
            sender, recipient: the addresses of the SMTP envelope.
            data: the message as `compose` returns it. All its lines end with CRLF, and it does not start with a dot.
            before_data: called right before the data begins. From then on the email may have left.
        """
        outages = self._outages
        async with self._slots:
            if outages != self._outages:
                # The server went down while this email waited: only one email waits for the timeout.
                return self._outage
            answer = await self._deliver(sender, recipient, data, before_data)
            _count(recipient, answer)
            if isinstance(answer, ServerDown) and not self._open:
                self._outages += 1
                self._outage = answer
            return answer

    async def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            client = self._idle.pop()[1]
            try:
                await client.quit(timeout=2)
            except (aiosmtplib.SMTPException, OSError, TimeoutError):
                pass  # it is closed below in any case
            finally:
                self._drop(client)

    async def _deliver(self, sender: str, recipient: str, data: bytes, before_data: Callable[[], None]) -> Answer:
        # The server may have closed an idle connection. In that case, and only before the data, a new one is tried.
        client = self._take_idle()
        while True:
            was_idle, client = client is not None, client
            try:
                client = client or await self._connect()
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                return ServerDown(f"{self._server.host}:{self._server.port}: {_describe(error)}")
            started = time.perf_counter()
            answer = await self._transact(client, sender, recipient, data, before_data)
            metrics.SMTP_SECONDS.labels(_outcome(answer)).observe(time.perf_counter() - started)
            if isinstance(answer, ServerDown) and was_idle:
                client = None
                continue
            return answer

    async def _transact(
        self, client: aiosmtplib.SMTP, sender: str, recipient: str, data: bytes, before_data: Callable[[], None]
    ) -> Answer:
        phase: Phase = "mail"
        is_usable = False
        try:
            # One timeout for the whole transaction: a timer for each of the four replies took longer than encoding the email.
            async with asyncio.timeout(self._server.timeout_s):
                _expect(250, await client.execute_command(b"MAIL", b"FROM:<%b>" % sender.encode(), timeout=None))
                phase = "rcpt"
                _expect(250, await client.execute_command(b"RCPT", b"TO:<%b>" % recipient.encode(), timeout=None))
                before_data()
                phase = "data"
                text = await _data(client, data)
            is_usable = True
            return Accepted(_queue_id(text))
        except aiosmtplib.SMTPResponseException as error:
            text = _without_addresses(error.message)
            if error.code < _LEAST_REFUSAL:  # an unexpected reply
                return Unknown(text) if phase == "data" else ServerDown(text)
            # The server is closing, or it rejects the sender. Every email would fail, so wait until the cause is fixed.
            if error.code == _CLOSING or (phase == "mail" and error.code >= 500):
                return ServerDown(f"{error.code} {text}")
            is_usable = await self._reset(client)
            return Refused(error.code, f"{error.code} {text}", phase)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Unknown(type(error).__name__) if phase == "data" else ServerDown(_describe(error))
        finally:
            if is_usable:
                self._idle.append((time.monotonic(), client))
            else:
                self._drop(client)

    def _take_idle(self) -> aiosmtplib.SMTP | None:
        oldest = time.monotonic() - FRESH_S
        while self._idle:
            since, client = self._idle.pop()
            if since >= oldest and client.is_connected:
                return client
            self._drop(client)
        return None

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
        self._count_open(1)
        is_open = False
        try:
            await client.connect(timeout=min(CONNECT_S, server.timeout_s))
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
            is_open = True
        finally:
            if not is_open:
                self._drop(client)
        return client

    async def _reset(self, client: aiosmtplib.SMTP) -> bool:
        try:
            await client.rset(timeout=5)
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            return False
        return True

    def _drop(self, client: aiosmtplib.SMTP) -> None:
        self._count_open(-1)
        client.close()

    def _count_open(self, change: int) -> None:
        self._open += change
        metrics.SMTP_CONNECTIONS.set(self._open)


async def _data(client: aiosmtplib.SMTP, data: bytes) -> str:
    # aiosmtplib's `data` applies two regular expressions to each email, for dots and for line ends that `compose` never writes.
    # They took longer than composing the email.
    _expect(354, await client.execute_command(b"DATA", timeout=None))
    if client.protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    client.protocol.write(data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    return _expect(250, await client.protocol.read_response(timeout=None))


def _expect(code: int, answer: aiosmtplib.SMTPResponse) -> str:
    if answer.code != code:
        raise aiosmtplib.SMTPResponseException(answer.code, answer.message)
    return answer.message


@cache  # bounded like the labels; `labels` is slower
def _answer_counter(provider: Provider, outcome: str) -> Any:
    return metrics.SMTP_ANSWERS.labels(provider, outcome)


def _count(recipient: str, answer: Answer) -> None:
    provider = provider_of(recipient)
    _answer_counter(provider, _outcome(answer)).inc()
    if isinstance(answer, Refused):
        kind = "permanent" if answer.is_final else "temporary"
        metrics.SMTP_REFUSALS.labels(provider, answer.bounce_class.reason, kind).inc()


def _outcome(answer: Answer) -> str:
    if isinstance(answer, Refused):
        return "refused" if answer.is_final else "deferred"
    return {Accepted: "accepted", Unknown: "unknown", ServerDown: "down"}[type(answer)]


def _queue_id(text: str) -> str | None:
    match = _QUEUED.search(text)
    return (match[1] or match[2]) if match else None


def _describe(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return f"login rejected: {error.code} {_without_addresses(error.message)} (hint: check SMTP_USERNAME and SMTP_PASSWORD(_FILE))"
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {_without_addresses(error.message)}"
    return f"{type(error).__name__} {_without_addresses(str(error))}".strip()


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub("<address>", " ".join(text.split()))[:300]
