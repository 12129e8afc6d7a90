"""A received email: its envelope, its headers, and its parts when a reader asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser, BytesParser

_PARSE_HEADERS = BytesHeaderParser(policy=policy.compat32)  # 25 times as fast as the default policy
_PARSE_MAIL = BytesParser(policy=policy.default)


class Mail:
    """A mail as it arrived. Its body is parsed when somebody looks, not when it arrives.

    Args:
        number: counts the mails of this inbox from 1.
        to: the envelope's recipients, which decide where a mail goes (the To header does not).
        raw: the message as it came over the wire.
        received_at_ms: Unix time in milliseconds.
    """

    __slots__ = ("_raw", "message_id", "number", "raw_headers", "received_at_ms", "size", "to")

    def __init__(self, number: int, to: Sequence[str], raw: bytes, received_at_ms: int) -> None:
        self.number = number
        self.to = tuple(to)
        self.received_at_ms = received_at_ms
        self.size = len(raw)
        self._raw: bytes | None = raw
        #: As they came, encoded words and all. Names in lower case; of a header that came twice, the first.
        self.raw_headers: dict[str, str] = {}
        for name, value in _PARSE_HEADERS.parsebytes(_head(raw)).items():
            self.raw_headers.setdefault(name.lower(), str(value))
        self.message_id = self.raw_headers.get("message-id", "").strip()

    @property
    def headers(self) -> dict[str, str]:
        """The headers as a person reads them, names in lower case."""
        return {name: _decoded(value) for name, value in self.raw_headers.items()}

    @property
    def subject(self) -> str:
        """The subject as a person reads it."""
        return _decoded(self.raw_headers.get("subject", ""))

    @property
    def send_id(self) -> str:
        """The send id, which is the local part of the Message-ID."""
        return self.message_id.strip("<>").partition("@")[0]

    @property
    def raw(self) -> bytes | None:
        """The message as it came, or None when it was let go to save memory."""
        return self._raw

    @property
    def html(self) -> str | None:
        """The HTML part, or None when there is none (any more)."""
        return self._part("html")

    @property
    def text(self) -> str | None:
        """The text part, or None when there is none (any more)."""
        return self._part("plain")

    def forget_body(self) -> None:
        """Let the body go; the headers stay."""
        self._raw = None

    def _part(self, kind: str) -> str | None:
        if self._raw is None:
            return None
        message = _PARSE_MAIL.parsebytes(self._raw)
        part = message.get_body((kind,))
        if part is None:
            return None
        try:
            return str(part.get_content())
        except (LookupError, UnicodeError, ValueError):  # a charset nobody knows, or bytes that do not fit it
            payload = part.get_payload(decode=True)
            return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, UnicodeError, HeaderParseError):  # encoded by no rule: show it as it is
        return value


def _head(raw: bytes) -> bytes:
    end = raw.find(b"\r\n\r\n")
    return raw if end < 0 else raw[: end + 4]
