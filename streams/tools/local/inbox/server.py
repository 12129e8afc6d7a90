"""The inbox: a real SMTP server on this machine that keeps what it accepts, for the demo, the tests and the bench.

Every mail accepted is a line in an append-only journal before the client reads its 250, so that what the inbox
says it accepted outlives the inbox. `python -m streams.tools.local.inbox` runs it as a process of its own.
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

from streams.tools.local.inbox.journal import JOURNAL_HEADERS, Accepted, Journal
from streams.tools.local.inbox.mail import Mail
from streams.tools.local.inbox.page import make_page
from streams.tools.local.inbox.session import LARGEST_MESSAGE, Session

#: What a `behaviour` returns to have the mail stored and the connection cut before the 250: the one window SMTP cannot close.
HANG_UP = "hang up"
#: Bodies are kept in memory up to this many bytes; the oldest go first, their headers stay.
KEEP_BYTES = 256 * 1024 * 1024
#: Mails of which the headers are kept in memory; the journal knows all.
KEEP_MAILS = 200_000
#: Seconds the servers get to start or to stop.
PATIENCE_S = 10.0

Behaviour = Callable[[Envelope], str | None]


class InboxStartError(RuntimeError):
    """The inbox could not listen; the message says on which ports and why."""


class Inbox:
    """An SMTP server and a web page over what it accepted, on a thread of their own.

    Args:
        journal: the file for the journal; None for none.
        smtp_port: where to accept mail; 0 takes a free port.
        web_port: where to show it; 0 takes a free port, None shows nothing.
        host: the address to listen on.
        tls_context: offers (and then requires) STARTTLS.
        login: user name and password that a client must give.
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
        #: Asked before a mail is stored, on the inbox's thread. An SMTP answer ("451 later") refuses the mail; None accepts it.
        self.behaviour: Behaviour | None = None
        #: Told how far a mail has come ("mail", "data", "dot", "kept"), on the inbox's thread: a test may kill the client there.
        self.watch: Callable[[str], None] | None = None
        self.accepted = 0
        self.refused = 0
        self._tls_context = tls_context
        self._login = login
        self._journal = Journal(journal) if journal is not None else None
        self._mails: deque[Mail] = deque()
        self._with_body: deque[Mail] = deque()
        self._body_bytes = 0
        self._change = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        # aiosmtpd logs addresses; nothing of Takk does.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)

    # -- what arrived ----------------------------------------------------------------------------------------------

    def mails(self, to: str | None = None) -> list[Mail]:
        """The mails in memory, oldest first; with `to`, those with a recipient that contains it (case does not matter)."""
        with self._change:
            mails = list(self._mails)
        if not to:
            return mails
        wanted = to.casefold()
        return [mail for mail in mails if any(wanted in address.casefold() for address in mail.to)]

    def mail(self, number: int) -> Mail | None:
        """The mail with that number, or None when it never was, or is no longer in memory."""
        with self._change:
            index = number - self._mails[0].number if self._mails else -1
            return self._mails[index] if 0 <= index < len(self._mails) else None

    def wait_for(self, count: int, timeout_s: float) -> list[Mail]:
        """Wait until at least `count` mails have been accepted; return those in memory.

        Raises:
            TimeoutError: there were fewer after `timeout_s` seconds.
        """
        with self._change:
            if not self._change.wait_for(lambda: self.accepted >= count, timeout_s):
                raise TimeoutError(f"{self.accepted} of {count} mails after {timeout_s} s")
        return self.mails()

    # -- SMTP (aiosmtpd calls these by name) -----------------------------------------------------------------------

    async def handle_DATA(self, server: Session, session: Any, envelope: Envelope) -> str:  # noqa: N802, RUF100 - aiosmtpd's name
        """Store a mail and answer for it."""
        self.reached("dot")
        answer = self.behaviour(envelope) if self.behaviour is not None else None
        if answer is not None and answer != HANG_UP:
            self.refused += 1
            return answer
        try:
            self._store(tuple(envelope.rcpt_tos), bytes(envelope.content or b""))
        except OSError as error:
            self.refused += 1
            return f"451 4.3.0 The journal could not be written: {error.strerror or error}"
        self.reached("kept")
        if answer == HANG_UP:
            server.transport.abort()
        return f"250 2.0.0 OK: queued as {self.accepted}"

    def reached(self, phase: str) -> None:
        """Say that a mail has come as far as `phase`."""
        if self.watch is not None:
            self.watch(phase)

    def _store(self, to: Sequence[str], raw: bytes) -> None:
        mail = Mail(self.accepted + 1, to, raw, time.time_ns() // 1_000_000)
        if self._journal is not None:
            kept = {name: mail.raw_headers[name] for name in JOURNAL_HEADERS if name in mail.raw_headers}
            self._journal.append(Accepted(mail.message_id, mail.received_at_ms, mail.size, kept))
        with self._change:
            self.accepted += 1
            self._mails.append(mail)
            self._with_body.append(mail)
            self._body_bytes += mail.size
            while self._body_bytes > KEEP_BYTES and len(self._with_body) > 1:
                oldest = self._with_body.popleft()
                self._body_bytes -= oldest.size
                oldest.forget_body()
            if len(self._mails) > KEEP_MAILS:
                gone = self._mails.popleft()
                if self._with_body[0] is gone:
                    self._with_body.popleft()
                    self._body_bytes -= gone.size
            self._change.notify_all()

    def _authenticate(
        self, server: Session, session: Any, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        name, password = self._login or ("", "")
        is_right = (
            isinstance(given, LoginPassword) and given.login == name.encode() and given.password == password.encode()
        )
        # handled=False: aiosmtpd gives the answer to a wrong login.
        return AuthResult(success=is_right, handled=is_right)

    def _connection(self) -> Session:
        return Session(
            self,
            data_size_limit=LARGEST_MESSAGE,
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

    # -- life ------------------------------------------------------------------------------------------------------

    @property
    def web_url(self) -> str:
        """Where a person reads the mails."""
        return f"http://{self.host}:{self.web_port}/"

    def start(self) -> None:
        """Listen; the ports are known when this returns.

        Raises:
            InboxStartError: a port is taken.
        """
        ready = threading.Event()
        self._failure = None
        self._thread = threading.Thread(target=self._run, args=(ready,), name="takk-inbox", daemon=True)
        self._thread.start()
        if not ready.wait(PATIENCE_S):
            raise InboxStartError(f"The inbox was not ready within {PATIENCE_S:.0f} s.")
        if self._failure is not None:
            raise InboxStartError(
                f"The inbox could not listen on {self.host}, ports {self.smtp_port} and {self.web_port}: {self._failure}. "
                "Choose other ports (0 takes a free one)."
            ) from self._failure

    def stop(self) -> None:
        """Close all connections and the journal. What arrived stays readable."""
        thread, self._thread = self._thread, None
        if thread is not None and self._loop is not None and self._closing is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._closing.set)
            thread.join(PATIENCE_S)
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
