"""A received email: its envelope, its headers, and its parts when a reader asks for them."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser, BytesParser
from email.utils import parseaddr
from typing import NamedTuple

_PARSE_HEADERS = BytesHeaderParser(policy=policy.compat32)  # 25 times as fast as the default policy
_PARSE_MAIL = BytesParser(policy=policy.default)
_PICTURES = ("image/png", "image/jpeg")
#: The language of the HTML part, in quoted-printable or as it is.
_LANGUAGE = re.compile(rb'<html\b[^>]{0,200}?\blang=(?:3D)?"([A-Za-z0-9-]{2,20})"')


class ReceivedFile(NamedTuple):
    """A file that an email carries: its name, its type and its bytes."""

    name: str
    media_type: str
    data: bytes


class ReceivedEmail:
    """A received email. Its body is parsed on access, not on arrival.

    Args:
        number: the number of the email in this inbox, from 1.
        to: the recipients of the envelope; the To header is irrelevant for delivery.
        raw: the message as received.
        received_at_ms: Unix time in ms.
    """

    __slots__ = ("_raw", "message_id", "number", "raw_headers", "received_at_ms", "size", "to")

    def __init__(self, number: int, to: Sequence[str], raw: bytes, received_at_ms: int) -> None:
        self.number = number
        self.to = tuple(to)
        self.received_at_ms = received_at_ms
        self.size = len(raw)
        self._raw: bytes | None = raw
        #: The headers as received, with encoded words. Names are in lower case; of a repeated header, the first counts.
        self.raw_headers: dict[str, str] = {}
        for name, value in _PARSE_HEADERS.parsebytes(_head(raw)).items():
            self.raw_headers.setdefault(name.lower(), str(value))
        self.message_id = self.raw_headers.get("message-id", "").strip()

    @property
    def headers(self) -> dict[str, str]:
        """The decoded headers, with names in lower case."""
        return {name: _decoded(value) for name, value in self.raw_headers.items()}

    @property
    def subject(self) -> str:
        """The decoded subject."""
        return _decoded(self.raw_headers.get("subject", ""))

    @property
    def name(self) -> str:
        """The name of the recipient in the header To, or ""."""
        return _decoded(parseaddr(self.raw_headers.get("to", ""))[0])

    @property
    def flow(self) -> str:
        """The flow that sent the email, or "" if another program did."""
        return self._feedback[1]

    @property
    def message(self) -> str:
        """The message of the flow, or ""."""
        return self._feedback[0]

    @property
    def purpose(self) -> str:
        """The purpose of the email, or ""."""
        return self._feedback[2]

    @property
    def _feedback(self) -> tuple[str, str, str]:
        """Message, flow and purpose, from the header Feedback-ID that `mime.py` writes."""
        parts = self.raw_headers.get("feedback-id", "").strip().split(":")
        return (parts[0], parts[1], parts[2]) if len(parts) == 4 and parts[3] == "takk" else ("", "", "")

    @property
    def language(self) -> str:
        """The language of the HTML part; "" if it is unknown or was dropped."""
        match = _LANGUAGE.search(self._raw) if self._raw is not None else None
        return match[1].decode() if match else ""

    @property
    def send_id(self) -> str:
        """The send id: the local part of the Message-ID."""
        return self.message_id.strip("<>").partition("@")[0]

    @property
    def raw(self) -> bytes | None:
        """The message as received, or None if it was dropped to save memory."""
        return self._raw

    @property
    def html(self) -> str | None:
        """The HTML part with the pictures that the email carries, or None if it is missing or was dropped."""
        html = self._part("html")
        if html is None or self._raw is None or "cid:" not in html:
            return html
        for part in _PARSE_MAIL.parsebytes(self._raw).walk():
            content_id, data = str(part["Content-ID"] or "").strip().strip("<>"), part.get_payload(decode=True)
            if content_id and part.get_content_type() in _PICTURES and isinstance(data, bytes):
                html = html.replace(
                    f"cid:{content_id}", f"data:{part.get_content_type()};base64,{b64encode(data).decode()}"
                )
        return html

    @property
    def text(self) -> str | None:
        """The text part, or None if it is missing or was dropped."""
        return self._part("plain")

    @property
    def files(self) -> list[ReceivedFile]:
        """The files that the email carries for the customer to save; none once it was dropped."""
        if self._raw is None or b"\r\nContent-Type: multipart/mixed" not in _head(self._raw):
            return []
        found = []
        for part in _PARSE_MAIL.parsebytes(self._raw).walk():
            data = part.get_payload(decode=True)
            if part.get_content_disposition() == "attachment" and isinstance(data, bytes):
                found.append(ReceivedFile(part.get_filename() or "file", part.get_content_type(), data))
        return found

    def drop_body(self) -> None:
        """Drop the body to save memory; the headers stay."""
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
        except (LookupError, UnicodeError, ValueError):  # an unknown charset, or bytes that are invalid in it
            payload = part.get_payload(decode=True)
            return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, UnicodeError, HeaderParseError):  # an invalid encoding: show the value as received
        return value


def _head(raw: bytes) -> bytes:
    end = raw.find(b"\r\n\r\n")
    return raw if end < 0 else raw[: end + 4]
