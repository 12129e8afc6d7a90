"""One SMTP connection of the inbox: aiosmtpd's, but it takes a message in one piece instead of line by line (ten times as fast)."""

from __future__ import annotations

import asyncio

from aiosmtpd.smtp import SMTP

#: RFC 5321, 4.5.3.1.6: a line of a message with its CRLF is no longer than this, in octets.
LONGEST_LINE = 1000
#: Messages larger than this are refused, in bytes.
LARGEST_MESSAGE = 32 * 1024 * 1024


class Session(SMTP):  # type: ignore[misc]  # aiosmtpd's types are not followed
    """aiosmtpd's server side of a connection with a `DATA` of its own."""

    #: aiosmtpd makes its stream's limit of it; here a "line" is a message.
    line_length_limit = LARGEST_MESSAGE + 1024

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802, RUF100 - aiosmtpd's name
        """Take the sender."""
        await super().smtp_MAIL(arg)
        self.event_handler.reached("mail")

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802, RUF100 - aiosmtpd's name
        """Take a message, hand it to the handler and pass on the answer."""
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        if not self.envelope.rcpt_tos:
            await self.push("503 Error: need RCPT command")
            return
        if arg:
            await self.push("501 Syntax: DATA")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        body = await self._read_message()
        if body is None:
            await self.push("552 5.3.4 The message is too large")
            self.transport.close()
            return
        if any(len(line) >= LONGEST_LINE for line in body.split(b"\n")):
            self._set_post_data_state()
            await self.push("500 5.5.2 Line too long (RFC 5321 4.5.3.1.6)")
            return
        self.envelope.content = self.envelope.original_content = body
        answer = await self._call_handler_hook("DATA")
        self._set_post_data_state()
        await self.push(answer)

    async def _read_message(self) -> bytes | None:
        """The message without the dots SMTP adds (RFC 5321, 4.5.2), or None when it is too large."""
        body = bytearray(await self._reader.readexactly(1))
        self.event_handler.reached("data")
        while body != b".\r\n" and not body.endswith(b"\r\n.\r\n"):
            try:
                body += await self._reader.readuntil(b".\r\n")
            except asyncio.LimitOverrunError:
                return None
            if len(body) > LARGEST_MESSAGE:
                return None
        del body[-3:]
        return (b"\r\n" + body).replace(b"\r\n.", b"\r\n")[2:]
