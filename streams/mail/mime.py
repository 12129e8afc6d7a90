"""The bytes of an email: multipart/alternative (RFC 5322, RFC 2045) with the headers that bulk senders need (RFC 2369, RFC 8058).

Logos are beside the HTML part, in multipart/related (RFC 2387). A document is behind the text, in multipart/mixed.

The standard library is not used: it takes 2 ms to build one message of 8 kB.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode, encodebytes
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from streams.addresses import parse_address
from streams.mail.command import Command
from streams.mail.links import Links, Sender
from streams.mail.rendering.logo import Logo
from streams.mail.rendering.renderer import RenderedEmail

if TYPE_CHECKING:
    from streams.mail.rendering.documents.attachments import Attachment

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: Ids that need no quotes in Message-ID, List-ID, Feedback-ID and the boundary.
_TOKEN = re.compile(r"[A-Za-z0-9._\-]{1,200}\Z")
#: Bytes of text in one encoded word. In base64 and with its delimiters the word stays below the 75 characters of RFC 2047.
_WORD_BYTES = 42
#: Characters of a header line without folding. RFC 5322 recommends 78 and allows 998; some spam filters penalize folded subjects.
_LONGEST_LINE = 200
#: Characters of a line in quoted-printable, without the sign of a soft line break (RFC 2045).
_LINE = 75
#: The segments of a longer line. An encoded octet stays whole.
_SEGMENTS = re.compile(rf".{{{_LINE - 2}}}(?:[^=][^=](?=.)|[^=](?==)|(?==))|.+")
#: The characters of a line that quoted-printable does not encode, and the one that it has encoded before.
_PLAIN = bytes([9, *range(32, 127)])
_BLANKS = (" ", "\t")
#: The text of each octet that quoted-printable encodes.
_ESCAPES = {octet: f"={octet:02X}" for octet in range(256) if octet not in _PLAIN}
#: Characters of the longest line that is cached, and of all lines of a generation, each with some more for its objects. So the lines of
#: hostile texts take 40 MB at most, and a generation has some 8,000 usual lines.
_LONGEST_CACHED, _MOST_CACHED, _PER_LINE = 500, 1_500_000, 100
#: Different characters that are replaced one by one. Each reads the whole line.
_MOST_REPLACED = 64
#: Characters of a link in a line of a header. A longer one is folded (RFC 2369 2); RFC 5322 allows lines of 998.
_LONGEST_LINK = 900


class Unsendable(ValueError):
    """An email that must not be sent, because a header would be broken or forged.

    Attributes:
        reason: the name of the field, never its content.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def compose(sender: Sender, command: Command, email: RenderedEmail, links: Links, now: datetime) -> bytes:
    """Return an email as SMTP transmits it, with CRLF line ends. Its Message-ID depends on the send id alone.

    Args:
        sender: the sender of the header From.
        command: the command, with the recipient and the ids.
        email: the rendered content.
        links: the links of the email, for the header List-Unsubscribe.
        now: the time of the header Date, UTC.

    Raises:
        Unsendable: the address is invalid, a header field holds a control character, or an id is invalid.
    """
    if parse_address(command.to_address) != command.to_address:
        raise Unsendable("to_address")
    for name, value in (("to_name", command.to_name), ("subject", email.subject)):
        if not value.isprintable() and _FORBIDDEN.search(value):
            raise Unsendable(name)
    for name, value in (("send_id", command.send_id), ("flow", command.flow), ("message", command.message)):
        if not _TOKEN.match(value):
            raise Unsendable(name)
    boundary = f"=_{command.send_id[:32]}"
    unsubscribe = ""
    if links.unsubscribe is not None:
        unsubscribe = f"List-Unsubscribe: <{_folded_link(links.unsubscribe)}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    reply_to = f"Reply-To: {email.reply_to}\r\n" if email.reply_to else ""
    head = (
        f"From: {_from(email.from_name or sender.name, sender.address)}\r\n{reply_to}"
        f"To: {_mailbox(command.to_name, command.to_address)}\r\n"
        f"Subject: {_encode_header(email.subject)}\r\n"
        f"Date: {_date(now.replace(microsecond=0))}\r\n"
        f"Message-ID: {message_id(sender, command.send_id)}\r\n"
        "Auto-Submitted: auto-generated\r\n"
        f"List-ID: <{command.flow}.{sender.domain}>\r\n"
        f"Feedback-ID: {command.message}:{command.flow}:{command.purpose}:takk\r\n"
        f"{unsubscribe}MIME-Version: 1.0\r\n"
    )
    kind = f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
    html = _part("text/html", email.html)
    if email.logos:
        inner = f"=R{command.send_id[:32]}"
        pictures = f"--{inner}\r\n".join(map(_picture, email.logos))
        html = (
            f'Content-Type: multipart/related; type="text/html"; boundary="{inner}"\r\n\r\n'
            f"--{inner}\r\n{html}--{inner}\r\n{pictures}--{inner}--\r\n"
        )
    parts = f"--{boundary}\r\n{_part('text/plain', email.text)}--{boundary}\r\n{html}"
    body = f"{kind}{parts}--{boundary}--\r\n"
    if email.attachment is not None:
        outer = f"=A{command.send_id[:32]}"
        file = _attached(email.attachment)
        body = f'Content-Type: multipart/mixed; boundary="{outer}"\r\n\r\n--{outer}\r\n{body}--{outer}\r\n{file}--{outer}--\r\n'
    return f"{head}{body}".encode()  # ASCII, except an address for SMTPUTF8 (RFC 6532)


def _part(kind: str, content: str) -> str:
    return (
        f"Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        f"{_quoted_printable(content)}\r\n"
    )


@lru_cache(maxsize=4)
def _picture(logo: Logo) -> str:
    """Return the part of a logo: the same in all emails."""
    lines = encodebytes(logo.data).decode().replace("\n", "\r\n")
    return (
        f'Content-Type: {logo.media_type}; name="{logo.file_name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-ID: <{logo.content_id}>\r\nContent-Disposition: inline; filename="{logo.file_name}"\r\n\r\n{lines}'
    )


def _attached(file: Attachment) -> str:
    """Return the part of a document, with its name as RFC 2231 writes letters that ASCII lacks.

    Programs that do not know that take the name of the type, in ASCII, which has the right ending.
    """
    decomposed = unicodedata.normalize("NFKD", file.name)
    plain = "".join([sign if sign.isascii() else "_" for sign in decomposed if not unicodedata.combining(sign)])
    name = f'filename="{plain}"' if file.name.isascii() else f"filename*=utf-8''{quote(file.name, safe='')}"
    lines = encodebytes(file.data).decode().replace("\n", "\r\n")
    return (
        f'Content-Type: {file.media_type}; name="{plain}"\r\nContent-Transfer-Encoding: base64\r\n'
        f"Content-Disposition: attachment;\r\n {name}\r\n\r\n{lines}"
    )


def message_id(sender: Sender, send_id: str) -> str:
    """Return the Message-ID of a send, the same for every attempt."""
    return f"<{send_id}@{sender.domain}>"


@lru_cache(maxsize=16)
def _from(name: str, address: str) -> str:
    """Return the mailbox of a sender: the same in all emails."""
    return _mailbox(name, address)


@lru_cache(maxsize=16)
def _date(second: datetime) -> str:
    return format_datetime(second)


def _mailbox(name: str, address: str) -> str:
    if not name.strip():
        return address
    if _is_plain(name):
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{address}>'
    return f"{_encode_header(name)} <{address}>"


def _is_plain(text: str) -> bool:
    return text.isascii() and len(text) <= _LONGEST_LINE and "=?" not in text


def _encode_header(text: str) -> str:
    """Return `text` for a header: unchanged, or as encoded words of whole characters (RFC 2047), one per line."""
    if _is_plain(text):
        return text
    whole = text.encode(errors="replace")
    if len(whole) <= _WORD_BYTES:  # most names, without a loop over their letters
        return f"=?utf-8?b?{b64encode(whole).decode()}?="
    words, chunk = [], b""
    for letter in text:
        octets = letter.encode(errors="replace")
        if len(chunk) + len(octets) > _WORD_BYTES:
            words.append(chunk)
            chunk = b""
        chunk += octets
    words.append(chunk)
    return "\r\n ".join(f"=?utf-8?b?{b64encode(word).decode()}?=" for word in words)


def _folded_link(url: str) -> str:
    if len(url) <= _LONGEST_LINK:
        return url
    return "\r\n ".join(url[start : start + _LONGEST_LINK] for start in range(0, len(url), _LONGEST_LINK))


def _quoted_printable(text: str) -> str:
    # The line ends of the text are LF, CRLF or CR: some servers read a lone CR as a line end.
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "\r\n".join(map(_lines.__getitem__, text.split("\n")))


def _encode_line(line: str) -> str:
    """Return one line of a text in quoted-printable (RFC 2045 6.7), in lines of at most 76 characters."""
    encoded = line.replace("=", "=3D")
    if not (line.isascii() and line.isprintable()):
        # Lines have few different characters to encode, and these calls take a quarter of the time of a regular expression.
        octets = encoded.encode(errors="replace")
        characters = set(octets.translate(None, _PLAIN).decode())
        if len(characters) <= _MOST_REPLACED:
            encoded = octets.decode()
            for character in characters:
                encoded = encoded.replace(character, _octets(character))
        else:
            encoded = octets.decode("latin-1").translate(_ESCAPES)
    if encoded[-1:] in _BLANKS:
        encoded = encoded[:-1] + _octets(encoded[-1:])
    if len(encoded) <= _LINE:
        return _without_lone_dot(encoded)
    folded: list[str] = _SEGMENTS.findall(encoded)
    folded[-1] = _without_lone_dot(folded[-1])
    return "=\r\n".join(folded)


class _Lines(dict[str, str]):
    """Encoded lines by line. Most lines of an email are those of its template, or of products that many customers buy.

    The lines are in two generations. Once the newer one is full, it becomes the older one, and only the lines that are used again stay.

    Attributes:
        older: the lines of the older generation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.older: dict[str, str] = {}
        self._size = 0

    def __missing__(self, line: str) -> str:
        encoded = self.older.get(line) or _encode_line(line)
        if len(line) <= _LONGEST_CACHED:
            self._size += len(line) + _PER_LINE
            if self._size > _MOST_CACHED:
                self.older = dict(self)
                self.clear()
                self._size = 0
            self[line] = encoded
        return encoded


_lines = _Lines()


def _without_lone_dot(line: str) -> str:
    # A lone dot would end the message, if a server did not remove the dot that SMTP adds.
    return "=2E" if line == "." else line


@lru_cache(maxsize=1024)
def _octets(text: str) -> str:
    return f"={text.encode().hex('=').upper()}"
