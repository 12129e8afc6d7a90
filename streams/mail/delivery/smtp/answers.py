"""The mail server's answers to one email."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from streams.mail.delivery.bounces import BounceClass, Phase, classify

#: Phases of opening a connection. Trouble in one of them concerns every email.
_CONNECTING = frozenset({"connect", "helo", "auth"})
#: Characters of the server's text that are kept.
MAX_ANSWER = 400


@dataclass(frozen=True)
class Accepted:
    """The server accepted the email. `queue_id` is the server's id of it, or None if the reply has none."""

    queue_id: str | None


@dataclass(frozen=True)
class Refused:
    """The server refused this email with a 4xx or 5xx code.

    Attributes:
        code: the SMTP reply code.
        text: the code and the server's text: printable, at most 300 characters, without addresses.
        phase: the command that was refused.
        status: the enhanced status code (RFC 3463), such as `5.1.1`, or None if the reply does not begin with one.
    """

    code: int
    text: str
    phase: Phase = "rcpt"
    status: str | None = None

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
    """The connection broke after the whole email was written: the server may have accepted it.

    It is never trouble of connecting, and never trouble of another email on the same connection.
    """

    text: str


@dataclass(frozen=True)
class ServerDown:
    """The server cannot be used, or it closed the connection, or its reply is invalid. This email was not accepted.

    Attributes:
        text: what happened: printable, at most 300 characters, without addresses.
        phase: the phase in which it happened.
        code: the SMTP reply code, or None without a reply.
        status: the enhanced status code (RFC 3463), or None.
        is_timeout: whether the server was silent.
    """

    text: str
    phase: Phase = "connect"
    code: int | None = None
    status: str | None = None
    is_timeout: bool = False

    @property
    def is_connecting(self) -> bool:
        """Whether no connection could be opened. Otherwise the trouble came with this email and may concern it alone."""
        return self.phase in _CONNECTING


Answer: TypeAlias = Accepted | Refused | Unknown | ServerDown


def printable(answer: Answer) -> Answer:
    """Return the answer with texts that can be encoded, logged and stored."""
    if isinstance(answer, Accepted):
        queue_id = _cleaned(answer.queue_id) if answer.queue_id else None
        return answer if queue_id == answer.queue_id else Accepted(queue_id)
    return replace(answer, text=_cleaned(answer.text))


def _cleaned(text: str) -> str:
    if text.isprintable() and text.isascii() and len(text) <= MAX_ANSWER:
        return text
    # `isprintable` is false for surrogates, which UTF-8 cannot encode.
    return "".join(letter if letter.isprintable() else " " for letter in text[:MAX_ANSWER])
