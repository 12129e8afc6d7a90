"""An inbox whose answers to recipients, and whose speed, a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import Envelope

from streams.tools.local.inbox.server import Inbox
from streams.tools.local.inbox.session import Session

#: In the place of an answer: the server cuts the connection, or does not answer until the client gives up.
CUT, SILENCE = "cut", "silence"


class ScriptedInbox(Inbox):
    """An inbox that answers RCPT as `on_recipient` says.

    Args:
        journal: as of `Inbox`.

    Attributes:
        on_recipient: returns the answer to an address: text, bytes, `CUT` or `SILENCE`. None accepts it. Called on the inbox's thread.
        delay_s: seconds between an email's final dot and the answer to it. Other connections go on meanwhile.
        waiting: the number of emails that wait for that answer now.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(journal)
        self.on_recipient: Callable[[str], str | bytes | None] = lambda address: None
        self.delay_s = 0.0
        self.waiting = 0

    async def handle_RCPT(
        self, server: Session, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str | bytes:
        """Answer RCPT."""
        answer = self.on_recipient(address)
        if answer == CUT:
            server.transport.abort()
        if answer == SILENCE:
            await asyncio.Event().wait()  # until the connection ends
        if answer is None or answer[:1] in ("2", b"2"):
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return answer or "250 OK"

    async def handle_DATA(self, server: Session, session: Any, envelope: Envelope) -> str:
        """Store an email, and answer after `delay_s`."""
        if self.delay_s:
            self.waiting += 1
            try:
                await asyncio.sleep(self.delay_s)
            finally:
                self.waiting -= 1
        return await super().handle_DATA(server, session, envelope)
