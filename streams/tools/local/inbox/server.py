"""The inbox: an SMTP server on this machine that keeps the emails it accepts, for the demo, the tests and the bench.

Every accepted email is a line in an append-only journal before the client reads its 250. The journal therefore contains
every acknowledged email, also after a crash. `python -m streams.tools.local.inbox` runs the inbox in its own process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from streams.tools.local.inbox.journal import JOURNAL_HEADERS, Journal, JournalEntry
from streams.tools.local.inbox.mail import ReceivedEmail
from streams.tools.local.inbox.page import make_page
from streams.tools.local.inbox.session import MAX_MESSAGE_BYTES, Session

#: A `behaviour` returns this to store the email and cut the connection before the 250: the one window that SMTP leaves open.
HANG_UP = "hang up"
#: Largest size of all bodies in memory. The oldest bodies are dropped first; their headers stay.
MAX_BODY_BYTES = 256 * 1024 * 1024
#: Largest number of emails in memory. The journal contains all.
MAX_EMAILS = 200_000
#: Seconds the servers may take to start or to stop.
TIMEOUT_S = 10.0

Behaviour = Callable[[Envelope], str | None]


class InboxStartError(RuntimeError):
    """The inbox cannot listen. The message names the ports and the reason."""


class Inbox:
    """An SMTP server and a web page of its emails, on a separate thread.

    Args:
        journal: the file of the journal; None writes no journal.
        smtp_port: the SMTP port; 0 selects a free one.
        web_port: the port of the web page; 0 selects a free one, None serves no page.
        host: the address to listen on.
        tls_context: if given, STARTTLS is required.
        login: the user and the password that a client must send, if any.
    """

    def __init__(
        self,
        journal: Path | None = None,
        smtp_port: int = 0,
        web_port: int | None = 0,
        host: str = "127.0.0.1",
        tls_context: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.host = host
        self.smtp_port = smtp_port
        self.web_port = web_port
        #: Called before an email is stored, on the inbox's thread. An SMTP answer ("451 later") rejects the email; None accepts it.
        self.behaviour: Behaviour | None = None
        #: Called in each phase of an email ("mail", "data", "dot", "kept"), on the inbox's thread: tests kill the client there.
        self.on_phase: Callable[[str], None] | None = None
        self.accepted = 0
        self.refused = 0
        #: Where the page may load pictures of emails from: scheme, host and port of a gateway on this machine, or "".
        self.pictures_origin = ""
        self._tls_context = tls_context
        self._login = login
        self._journal = Journal(journal) if journal is not None else None
        self._mails: deque[ReceivedEmail] = deque()
        self._with_body: deque[ReceivedEmail] = deque()
        self._body_bytes = 0
        self._change = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        # aiosmtpd logs addresses, which Takk never does.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)

    # -- received emails ----------------------------------------------------------------------------------------------

    def mails(self, to: str | None = None) -> list[ReceivedEmail]:
        """Return the emails in memory, the oldest first. `to` selects those with a recipient that contains it, ignoring case."""
        with self._change:
            mails = list(self._mails)
        if not to:
            return mails
        wanted = to.casefold()
        return [mail for mail in mails if any(wanted in address.casefold() for address in mail.to)]

    def mail(self, number: int) -> ReceivedEmail | None:
        """Return the email with this number, or None if it is not in memory."""
        with self._change:
            index = number - self._mails[0].number if self._mails else -1
            return self._mails[index] if 0 <= index < len(self._mails) else None

    def wait_for(self, count: int, timeout_s: float) -> list[ReceivedEmail]:
        """Wait until at least `count` emails have been accepted, and return those in memory.

        Raises:
            TimeoutError: there are fewer after `timeout_s` seconds.
        """
        with self._change:
            if not self._change.wait_for(lambda: self.accepted >= count, timeout_s):
                raise TimeoutError(f"{self.accepted} of {count} emails after {timeout_s} s")
        return self.mails()

    # -- SMTP (aiosmtpd calls these by name) -----------------------------------------------------------------------

    async def handle_DATA(self, server: Session, session: Any, envelope: Envelope) -> str:  # noqa: N802, RUF100 - aiosmtpd's name
        """Store an email and return the SMTP answer."""
        self.report_phase("dot")
        answer = self.behaviour(envelope) if self.behaviour is not None else None
        if answer is not None and answer != HANG_UP:
            self.refused += 1
            return answer
        try:
            self._store(tuple(envelope.rcpt_tos), bytes(envelope.content or b""))
        except OSError as error:
            self.refused += 1
            return f"451 4.3.0 Cannot write the journal: {error.strerror or error}"
        self.report_phase("kept")
        if answer == HANG_UP:
            server.transport.abort()
        return f"250 2.0.0 OK: queued as {self.accepted}"

    def report_phase(self, phase: str) -> None:
        """Report that an email has reached `phase`."""
        if self.on_phase is not None:
            self.on_phase(phase)

    def _store(self, to: Sequence[str], raw: bytes) -> None:
        mail = ReceivedEmail(self.accepted + 1, to, raw, time.time_ns() // 1_000_000)
        if self._journal is not None:
            kept = {name: mail.raw_headers[name] for name in JOURNAL_HEADERS if name in mail.raw_headers}
            self._journal.append(JournalEntry(mail.message_id, mail.received_at_ms, mail.size, kept))
        with self._change:
            self.accepted += 1
            self._mails.append(mail)
            self._with_body.append(mail)
            self._body_bytes += mail.size
            while self._body_bytes > MAX_BODY_BYTES and len(self._with_body) > 1:
                oldest = self._with_body.popleft()
                self._body_bytes -= oldest.size
                oldest.drop_body()
            if len(self._mails) > MAX_EMAILS:
                gone = self._mails.popleft()
                if self._with_body[0] is gone:
                    self._with_body.popleft()
                    self._body_bytes -= gone.size
            self._change.notify_all()

    def _authenticate(
        self, server: Session, session: Any, envelope: Envelope, mechanism: str, login: Any
    ) -> AuthResult:
        name, password = self._login or ("", "")
        is_valid = (
            isinstance(login, LoginPassword) and login.login == name.encode() and login.password == password.encode()
        )
        # handled=False: aiosmtpd answers an invalid login.
        return AuthResult(success=is_valid, handled=is_valid)

    def _connection(self) -> Session:
        return Session(
            self,
            data_size_limit=MAX_MESSAGE_BYTES,
            enable_SMTPUTF8=True,
            hostname="inbox.example",
            ident="Takk inbox",
            tls_context=self._tls_context,
            require_starttls=self._tls_context is not None,
            auth_required=self._login is not None,
            auth_require_tls=self._tls_context is not None,
            authenticator=self._authenticate if self._login is not None else None,
            loop=self._loop,
        )

    # -- start and stop ------------------------------------------------------------------------------------------------------

    @property
    def web_url(self) -> str:
        """The address of the web page."""
        return f"http://{self.host}:{self.web_port}/"

    def start(self) -> None:
        """Start listening. The ports are set when this returns.

        Raises:
            InboxStartError: a port is in use.
        """
        ready = threading.Event()
        self._failure = None
        self._thread = threading.Thread(target=self._run, args=(ready,), name="takk-inbox", daemon=True)
        self._thread.start()
        if not ready.wait(TIMEOUT_S):
            raise InboxStartError(f"the inbox was not ready within {TIMEOUT_S:.0f} s.")
        if self._failure is not None:
            raise InboxStartError(
                f"the inbox cannot listen on {self.host}, ports {self.smtp_port} and {self.web_port}: {self._failure}. "
                "Choose other ports (0 selects a free one)."
            ) from self._failure

    def stop(self) -> None:
        """Close all connections and the journal. Received emails stay readable."""
        thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None and self._closing is not None:
            with contextlib.suppress(RuntimeError):  # the loop is already closed
                self._loop.call_soon_threadsafe(self._closing.set)
            thread.join(TIMEOUT_S)
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def __enter__(self) -> Inbox:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _run(self, ready: threading.Event) -> None:
        try:
            asyncio.run(self._serve(ready))
        except OSError as error:
            self._failure = error
        finally:
            ready.set()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        server = await self._loop.create_server(self._connection, self.host, self.smtp_port)
        self.smtp_port = server.sockets[0].getsockname()[1]
        runner = web.AppRunner(make_page(self), access_log=None, shutdown_timeout=1)
        try:
            await runner.setup()
            if self.web_port is not None:
                site = web.TCPSite(runner, self.host, self.web_port)
                await site.start()
                self.web_port = runner.addresses[0][1]
            ready.set()
            await self._closing.wait()
        finally:
            server.close()
            await runner.cleanup()
