"""The road to the mail server: a pool of warm connections, and what the server's answers mean."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import aiosmtplib

from streams.mail.delivery.bounces import Meaning, Phase, classify
from streams.observability import metrics

_QUEUED = re.compile(r"queued as (\S+)|\bid=(\S+)", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")
#: Seconds after which an idle connection is not trusted: a firewall may have forgotten it, and a mail sent into it would hang.
FRESH_S = 20.0
#: Seconds that opening a connection may take: a stop waits for it.
CONNECT_S = 10.0
_CLOSING = 421
#: From here on an answer is a refusal; below it makes no sense where it came (aiosmtplib calls what it cannot read -1).
_LEAST_REFUSAL = 400


@dataclass(frozen=True)
class Accepted:
    """The server took the mail; `queue_id` is its own name for it, if it told."""

    queue_id: str | None


@dataclass(frozen=True)
class Refused:
    """The server said no to this mail: 4xx (`is_final` False) or 5xx. `text` holds no address; `phase` is what was refused."""

    code: int
    text: str
    phase: Phase = "rcpt"

    @property
    def is_final(self) -> bool:
        """Whether another attempt is of no use."""
        return self.code >= 500

    @property
    def meaning(self) -> Meaning:
        """What the refusal says of the address."""
        return classify(self.code, self.text, self.phase)

    @property
    def is_hard(self) -> bool:
        """Whether the address itself is dead."""
        return self.meaning.is_hard


@dataclass(frozen=True)
class Unknown:
    """The connection broke after the data had begun: the server may have taken the mail."""

    text: str


@dataclass(frozen=True)
class ServerDown:
    """The mail was not taken: the server does not answer, or refuses us as a whole."""

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
    """Up to `server.connections` connections, opened when needed and kept warm. For one event loop."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._idle: list[tuple[float, aiosmtplib.SMTP]] = []
        self._slots = asyncio.Semaphore(server.connections)
        self._open = 0
        self._outages = 0
        self._outage = ServerDown("")

    @property
    def size(self) -> int:
        """How many mails it hands over at once."""
        return self._server.connections

    async def send(self, sender: str, recipient: str, data: bytes, before_data: Callable[[], None]) -> Answer:
        """Hand one mail over. `before_data` runs right before the data begins: after it the mail may have left.

        `data` ends its lines, the last one too, with CRLF, and does not begin with a dot, as `compose` makes it.
        """
        outages = self._outages
        async with self._slots:
            if outages != self._outages:
                return self._outage  # found down while this mail waited: hundreds must not each wait out the timeout
            answer = await self._hand_over(sender, recipient, data, before_data)
            if isinstance(answer, ServerDown) and not self._open:
                self._outages += 1
                self._outage = answer
            return answer

    async def close(self) -> None:
        """Say goodbye on all idle connections."""
        while self._idle:
            client = self._idle.pop()[1]
            try:
                await client.quit(timeout=2)
            except (aiosmtplib.SMTPException, OSError, TimeoutError):
                pass  # it is closed below all the same
            finally:
                self._drop(client)

    async def _hand_over(self, sender: str, recipient: str, data: bytes, before_data: Callable[[], None]) -> Answer:
        # A warm connection may have been closed by the server meanwhile: then, and only before the data, a fresh one is tried.
        client = self._warm()
        while True:
            is_warm, client = client is not None, client
            try:
                client = client or await self._connect()
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                return ServerDown(f"{self._server.host}:{self._server.port}: {_words(error)}")
            started = time.perf_counter()
            answer = await self._converse(client, sender, recipient, data, before_data)
            metrics.SMTP_SECONDS.labels(_outcome(answer)).observe(time.perf_counter() - started)
            if isinstance(answer, ServerDown) and is_warm:
                client = None
                continue
            return answer

    async def _converse(
        self, client: aiosmtplib.SMTP, sender: str, recipient: str, data: bytes, before_data: Callable[[], None]
    ) -> Answer:
        phase: Phase = "mail"
        is_usable = False
        try:
            # One limit for the whole: each of the four answers with a timer of its own took longer than to encode the mail.
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
            text = _plain(error.message)
            if error.code < _LEAST_REFUSAL:  # not an answer to what was asked
                return Unknown(text) if phase == "data" else ServerDown(text)
            # Closing down; or a sender that is refused for good, which every mail would be: wait until somebody mends it.
            if error.code == _CLOSING or (phase == "mail" and error.code >= 500):
                return ServerDown(f"{error.code} {text}")
            is_usable = await self._reset(client)
            return Refused(error.code, f"{error.code} {text}", phase)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            return Unknown(type(error).__name__) if phase == "data" else ServerDown(_words(error))
        finally:
            if is_usable:
                self._idle.append((time.monotonic(), client))
            else:
                self._drop(client)

    def _warm(self) -> aiosmtplib.SMTP | None:
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
        self._open += 1
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
        self._open -= 1
        client.close()


async def _data(client: aiosmtplib.SMTP, data: bytes) -> str:
    # aiosmtplib's `data` looks through each mail with two regular expressions, for line ends that `compose` never makes, and for
    # dots: that took longer than to compose the mail.
    _expect(354, await client.execute_command(b"DATA", timeout=None))
    if client.protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    client.protocol.write(data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    return _expect(250, await client.protocol.read_response(timeout=None))


def _expect(code: int, answer: aiosmtplib.SMTPResponse) -> str:
    if answer.code != code:
        raise aiosmtplib.SMTPResponseException(answer.code, answer.message)
    return answer.message


def _outcome(answer: Answer) -> str:
    if isinstance(answer, Refused):
        return "refused" if answer.is_final else "deferred"
    return {Accepted: "accepted", Unknown: "unknown", ServerDown: "down"}[type(answer)]


def _queue_id(text: str) -> str | None:
    found = _QUEUED.search(text)
    return (found.group(1) or found.group(2)) if found else None


def _words(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return f"refuses the login, check SMTP_USERNAME and SMTP_PASSWORD(_FILE): {error.code} {_plain(error.message)}"
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {_plain(error.message)}"
    return f"{type(error).__name__} {_plain(str(error))}".strip()


def _plain(text: str) -> str:
    return _ADDRESS.sub("<address>", " ".join(text.split()))[:300]
