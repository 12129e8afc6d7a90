"""From words to the bytes of a mail (RFC 5322, RFC 2045): multipart/alternative, with the headers that bulk senders owe.

Written by hand because the standard library takes 2 ms to build one 8 kB message.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime, parseaddr

from streams.core.model.consent_policy import is_transactional
from streams.core.values.tokens import sign
from streams.mail.command import Command
from streams.mail.rendering.renderer import Links, Rendered

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Printable ASCII without what has a meaning in a header or an SMTP command; RFC 5321 has 64 octets before the @.
_ADDRESS = re.compile(r"[!#-'*+\-./0-9=?A-Z^_`a-z{|}~]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.\-]{0,251}[A-Za-z0-9])?\Z")
#: What may stand unquoted in Message-ID, List-ID, Feedback-ID and the boundary.
_TOKEN = re.compile(r"[A-Za-z0-9._\-]{1,200}\Z")
#: Bytes of text in one encoded word: with base64 and its frame it stays below the 75 characters of RFC 2047.
_WORD_BYTES = 42
#: A header line up to here needs no folding (RFC 5322 asks for 78, allows 998; some filters dislike folded subjects).
_LONGEST_LINE = 200


class Unsendable(ValueError):
    """A mail that must not leave as it is: a header would be broken or forged. `reason` names the field, never its content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Sender:
    """Who the mails come from, and where their links lead."""

    address: str
    name: str
    domain: str
    base_url: str
    secret: bytes = field(repr=False)

    @classmethod
    def parse(cls, mail_from: str, domain: str, base_url: str, secret: bytes) -> Sender:
        """A sender from `Name <address>`."""
        name, address = parseaddr(mail_from)
        return cls(address, name or address, domain, base_url.rstrip("/"), secret)

    def links(self, command: Command) -> Links:
        """The links of one mail; transactional mail has none to unsubscribe, and the pixel follows consent."""
        parts = (command.send_id, command.customer_id)
        scope = command.purpose if command.purpose in ("review", "survey") else "marketing"
        transactional = is_transactional(command.purpose)
        return Links(
            unsubscribe=None
            if transactional
            else f"{self.base_url}/u/{sign(self.secret, 'unsubscribe', *parts, scope)}",
            pixel=f"{self.base_url}/o/{sign(self.secret, 'open', *parts)}" if command.tracking else None,
            review=f"{self.base_url}/r/{sign(self.secret, 'review', *parts)}",
        )


def compose(sender: Sender, command: Command, words: Rendered, links: Links, now: datetime) -> bytes:
    """The mail as the server gets it, with CRLF line ends; its Message-ID depends on the send id alone.

    Raises:
        Unsendable: the address is none, a header field holds a control character, or an id holds what no id has.
    """
    if not _ADDRESS.match(command.to_address):
        raise Unsendable("to_address")
    for name, value in (("to_name", command.to_name), ("subject", words.subject)):
        if _FORBIDDEN.search(value):
            raise Unsendable(name)
    for name, value in (("send_id", command.send_id), ("flow", command.flow), ("message", command.message)):
        if not _TOKEN.match(value):
            raise Unsendable(name)
    boundary = f"=_{command.send_id[:32]}"
    headers = [
        f"From: {_mailbox(sender.name, sender.address)}",
        f"To: {_mailbox(command.to_name, command.to_address)}",
        f"Subject: {_words(words.subject)}",
        f"Date: {format_datetime(now)}",
        f"Message-ID: {message_id(sender, command.send_id)}",
        "Auto-Submitted: auto-generated",
        f"List-ID: <{command.flow}.{sender.domain}>",
        f"Feedback-ID: {command.message}:{command.flow}:{command.purpose}:takk",
    ]
    if links.unsubscribe is not None:
        headers += [f"List-Unsubscribe: <{links.unsubscribe}>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click"]
    headers += ["MIME-Version: 1.0", f'Content-Type: multipart/alternative; boundary="{boundary}"']
    head = "\r\n".join(headers).encode("ascii")
    parts = b"".join(
        b"--%b\r\nContent-Type: %b; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n%b\r\n"
        % (boundary.encode(), kind, _quoted(content))
        for kind, content in ((b"text/plain", words.text), (b"text/html", words.html))
    )
    return b"%b\r\n\r\n%b--%b--\r\n" % (head, parts, boundary.encode())


def message_id(sender: Sender, send_id: str) -> str:
    """The Message-ID of a send: the same for every attempt."""
    return f"<{send_id}@{sender.domain}>"


def _mailbox(name: str, address: str) -> str:
    if not name.strip():
        return address
    if _is_plain(name):
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{address}>'
    return f"{_words(name)} <{address}>"


def _is_plain(text: str) -> bool:
    return text.isascii() and len(text) <= _LONGEST_LINE and "=?" not in text


def _words(text: str) -> str:
    """`text` as it may stand in a header: itself, or encoded words of whole characters (RFC 2047), one a line."""
    if _is_plain(text):
        return text
    words, chunk = [], b""
    for letter in text:
        octets = letter.encode(errors="replace")
        if len(chunk) + len(octets) > _WORD_BYTES:
            words.append(chunk)
            chunk = b""
        chunk += octets
    words.append(chunk)
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in words)


def _quoted(text: str) -> bytes:
    # A lone CR would go through b2a_qp as it is, and some servers take it for a line end. The leading line end makes its soft breaks CRLF.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    return binascii.b2a_qp(b"\r\n" + lines.encode(errors="replace"), istext=True)[2:]
