"""The emails on one open connection: envelope, message and answer, pipelined if the server offers it (RFC 2920)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from streams.mail.delivery.bounces import Phase
from streams.mail.delivery.smtp.answers import Accepted, Answer, Refused, ServerDown, Unknown
from streams.mail.delivery.smtp.channel import CLOSING, Channel, Cut, Expected
from streams.mail.delivery.smtp.replies import Reply
from streams.mail.delivery.smtp.server import Timeouts

_ENVELOPE: Final[tuple[Phase, ...]] = ("mail", "rcpt", "data")
_DOT: Final[tuple[Phase, ...]] = ("dot",)
_RESET: Final[tuple[Phase, ...]] = ("helo",)
#: The server waits for the message.
_GO_AHEAD = 354


class NotTried:
    """The email was not offered to the server on this connection. The cause is not this email."""


class Written:
    """The email was written to the connection, and its answer is expected."""

    __slots__ = ("expected",)

    def __init__(self, expected: Expected) -> None:
        self.expected = expected


class Connection(Channel):
    """A connection after the login. One email at a time may `begin` on it.

    If the server offers PIPELINING, an email may begin while the one before it waits for its answer. A server that omits that answer would
    then have its reply to the next envelope taken for it. An envelope therefore follows a message only after the server has answered one,
    and the replies are watched.

    Args:
        is_pipelining: whether the server offers PIPELINING.
        timeouts: how long to wait for each reply.
        on_closed: called once, with this connection, when it is no longer open.
        has_utf8: whether the server offers SMTPUTF8 (RFC 6531).

    Attributes:
        answered: the number of emails that the server accepted or refused on it.
        is_following: whether an envelope may ever follow a message without waiting for its answer.
        missing: the reply that shows that an earlier one is missing, or None. The connection is closed then.
    """

    def __init__(
        self,
        is_pipelining: bool,
        timeouts: Timeouts,
        on_closed: Callable[[Connection], None],
        *,
        has_utf8: bool = False,
    ) -> None:
        super().__init__(timeouts, lambda: on_closed(self))
        self.is_pipelining = self.is_following = is_pipelining
        self.has_utf8 = has_utf8
        self.answered = 0
        self.missing: str | None = None
        self._has_answered_message = False
        #: The message that the newest envelope followed, until the replies to that envelope have shown that they are in step.
        self._followed: Expected | None = None

    @property
    def may_follow(self) -> bool:
        """Whether an envelope may follow a message now. The first message shows that the server answers messages, and with which status."""
        return self.is_following and self._has_answered_message

    @property
    def is_ready(self) -> bool:
        """Whether an email may begin, unless another one is beginning."""
        return self.is_usable and not (self.expected and self.expected[-1].is_left)

    async def begin(
        self, sender: bytes, recipient: bytes, data: bytes, on_begun: Callable[[], None]
    ) -> Written | Answer | NotTried:
        """Send the envelope, and then write the email. Return `Written`, or why the email was not written.

        Args:
            sender, recipient: the addresses of the envelope.
            data: the message. All its lines end with CRLF.
            on_begun: called right before the message is written. Until then the server cannot accept it.
        """
        if not self.is_pipelining and self.expected:
            await asyncio.wait({self.expected[-1].future})
        if not self.is_ready:
            return NotTried()
        answer = await self._offer(sender, recipient)
        if answer is not None:
            return answer
        if self.problem is not None:
            return ServerDown(self.problem, "data")
        try:
            on_begun()
        except BaseException:
            # The server waits for the message, and accepts nothing without the dot (RFC 5321 4.1.1.4).
            self.close("the email was given up")
            raise
        # The envelope of the next email may follow: RFC 2920 3.1 allows it in the same group as this message.
        return Written(self.write(with_dots(data), _DOT))

    async def finish(self, written: Written) -> Answer:
        """Return the server's answer to a written email."""
        expected = written.expected
        try:
            await expected.future
        except Cut as cut:
            if not expected.replies:
                return Unknown(cut.text)
        except asyncio.CancelledError:
            if not self.may_follow:
                self.close("the email was given up")  # the next command would be sent before the reply
            raise
        reply = expected.replies[0]
        if expected.is_out_of_step:
            return Unknown(f"the reply may be that to another command: {reply.text}")
        if reply.code // 100 == 2:
            self.answered += 1
            return Accepted(reply.queue_id)
        if reply.code >= 400:
            self.answered += 1
            return _refusal(reply, "dot")
        self.close("unexpected reply", is_blamed=False)
        return Unknown(f"unexpected reply: {reply.text}")

    @property
    def has_waiting(self) -> bool:
        """Whether an envelope waits behind a written email."""
        return len(self.expected) > 1 and self.expected[-1].phases is _ENVELOPE

    def release_waiting(self, seconds: float) -> None:
        """Give up an envelope that has waited for `seconds` behind a written email: another connection can send it."""
        if self.has_waiting and self._loop.time() - self.expected[-1].since >= seconds:
            waiting = self.expected[-1]
            waiting.is_left = True
            waiting.fail(Cut("the email before it is slow", False, False))

    async def _offer(self, sender: bytes, recipient: bytes) -> Answer | NotTried | None:
        """Send the envelope. Return None if the server waits for the message."""
        parameters = b""
        if not recipient.isascii():
            if not self.has_utf8:
                # RFC 6531 3.2: the address must not be offered. The code is the one that such servers give themselves.
                return Refused(
                    553, "553 5.6.7 the mail server does not offer SMTPUTF8, which this address needs", "rcpt", "5.6.7"
                )
            parameters = b" SMTPUTF8"
        commands = (b"MAIL FROM:<%b>%b\r\n" % (sender, parameters), b"RCPT TO:<%b>\r\n" % recipient, b"DATA\r\n")
        if self.is_pipelining:
            groups = [(b"".join(commands), _ENVELOPE)]
        else:
            groups = [(command, (phase,)) for command, phase in zip(commands, _ENVELOPE, strict=True)]
        replies: list[Reply] = []
        before = self.expected[-1] if self.expected else None
        self._followed = before if before is not None and before.phases is _DOT and before.is_email else None
        for command, phases in groups:
            expected = self.write(command, phases)
            try:
                await expected.future
            except Cut as cut:
                answer = _judge(replies + expected.replies)
                if answer is not None or not cut.is_blamed:
                    return answer or NotTried()
                return ServerDown(cut.text, phases[len(expected.replies)], is_timeout=cut.is_timeout)
            except asyncio.CancelledError:
                self._leave(expected)
                raise
            replies += expected.replies
            answer = _judge(replies)
            if answer is not None:
                self.answered += isinstance(answer, Refused)
                self._abandon(replies)
                return answer
        return None

    def _receive(self, reply: Reply) -> None:
        expected = self.expected[0]
        if not expected.is_email:
            self._followed = None
        elif expected.phases is _DOT:
            if len(self.expected) == 1:
                self._has_answered_message = not reply.is_of_envelope  # some servers answer messages like that
            elif reply.is_of_envelope:
                self.missing = reply.text
                self.close(f"the reply to another command: {reply.text}", is_blamed=False)
                return
        elif reply.code == _GO_AHEAD and expected.phases is _ENVELOPE and self._followed is not None:
            if len(expected.replies) == 1:
                # It answers DATA, so that the reply to MAIL has been taken for the answer to the message.
                self._note_missing(reply)
                self.close(f"unexpected reply: {reply.text}", is_blamed=False)
                return
            self._followed = None
        super()._receive(reply)

    def _note_unexpected(self, reply: Reply) -> None:
        if reply.code != CLOSING:
            self._note_missing(reply)

    def _note_missing(self, reply: Reply) -> None:
        if self._followed is not None:
            self._followed.is_out_of_step = True
            self.missing = reply.text

    def _leave(self, expected: Expected) -> None:
        """Give up an envelope. The connection is closed as soon as no other email needs it."""
        expected.is_left = True
        # If all replies are here, the server waits for the message.
        if expected not in self.expected or self.expected[0] is expected:
            self.close("the email was given up")

    def _abandon(self, replies: list[Reply]) -> None:
        """Return to the state without an envelope, after a refusal."""
        codes = dict(zip(_ENVELOPE, (reply.code for reply in replies), strict=False))
        is_taken = {phase: code // 100 == 2 for phase, code in codes.items()}
        if any(code < 400 and not is_taken[phase] for phase, code in codes.items() if phase != "data"):
            self.close("unexpected reply")
        elif codes.get("data") == _GO_AHEAD and not is_taken["rcpt"]:
            # The server waits for a message although it has no recipient. RFC 2920 3.1 demands a lone dot.
            self.write(b".\r\n", _DOT, is_email=False)
        elif codes.get("data", 500) < 400:
            # A lone dot would send an empty email to the recipient.
            self.close("unexpected reply")
        elif is_taken["mail"]:
            self.write(b"RSET\r\n", _RESET, is_email=False)


def with_dots(data: bytes) -> bytes:
    """Return the message with the dots at the beginning of its lines doubled, and with the dot that ends it (RFC 5321 4.5.2)."""
    stuffed = data.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return b"%b%b.\r\n" % (stuffed, b"" if not stuffed or stuffed.endswith(b"\r\n") else b"\r\n")


def _judge(replies: list[Reply]) -> Answer | None:
    """Return what the replies to the envelope mean, or None if they are what the message needs."""
    for phase, reply in zip(_ENVELOPE, replies, strict=False):
        if reply.code == _GO_AHEAD if phase == "data" else reply.code // 100 == 2:
            continue
        if reply.code >= 400:
            return _refusal(reply, phase)
        return ServerDown(f"unexpected reply: {reply.text}", phase)
    return None


def _refusal(reply: Reply, phase: Phase) -> Refused | ServerDown:
    # The server is closing, or it rejects the sender. Every email would fail, so wait until the cause is fixed.
    if reply.code == CLOSING or (phase == "mail" and reply.code >= 500):
        return ServerDown(reply.text, phase, reply.code, reply.status)
    return Refused(reply.code, reply.text, phase, reply.status)
