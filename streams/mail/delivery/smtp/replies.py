"""SMTP replies: parsed in bounded memory, and their text made printable. Pure."""

from __future__ import annotations

import re

import msgspec

#: Longest reply line that is kept, in bytes. RFC 5321 4.5.3.1.5 allows 512. The rest of a longer line is discarded.
MAX_LINE = 1_000
#: Bytes of a reply's text that are kept. The longest useful texts are policies with a link, of about 600 bytes.
MAX_TEXT = 2_000
#: Bytes after which a reply is invalid. A reply of this length is an attack or a defect.
MAX_REPLY = 32 << 20
#: Characters of a cleaned text. A report, a log line and a dead letter hold it.
MAX_CHARACTERS = 300
#: Characters of the server's id of an email.
_MAX_QUEUE_ID = 100

#: The code of a reply, by the bytes that its lines begin with.
_CODES = {b"%d" % code: code for code in range(200, 600)}
_QUEUED = re.compile(r"queued as (\S+)|\bid=(\S+)", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")
#: RFC 2034: the text begins with the enhanced status code.
_STATUS = re.compile(rb"\s*([245])\.(\d{1,3})\.(\d{1,3})(?!\d|\.\d)")


class Reply(msgspec.Struct, frozen=True, gc=False):
    """One reply of the server.

    Attributes:
        code: the reply code, 200 to 599.
        raw: the text of its lines, each after a line feed, at most `MAX_TEXT` bytes and one line.
    """

    code: int
    raw: bytes

    @property
    def text(self) -> str:
        """The code and the text: printable, bounded, without addresses."""
        return f"{self.code} {without_addresses(self.raw)}".rstrip()

    @property
    def status(self) -> str | None:
        """The enhanced status code of RFC 3463, or None."""
        return status_of(self.code, self.raw)

    @property
    def is_of_envelope(self) -> bool:
        """Whether its enhanced status is one of an accepted address: 2.1.0 answers MAIL, and 2.1.5 RCPT (RFC 3463 3.2)."""
        return b"2.1." in self.raw and (self.status or "").startswith("2.1.")

    @property
    def queue_id(self) -> str | None:
        """The server's id of the accepted email, or None."""
        match = _QUEUED.search(printable(self.raw))
        return (match[1] or match[2])[:_MAX_QUEUE_ID] if match else None


class ReplyParser:
    """Splits the bytes of one connection into replies.

    Memory is bounded: long lines and long texts are truncated, and a reply of more than `MAX_REPLY` bytes is invalid.

    Attributes:
        problem: why the bytes after the last reply are invalid, or None. No reply follows.
    """

    def __init__(self) -> None:
        self.problem: str | None = None
        self._rest = b""
        self._size = 0
        self._code = b""
        self._text = b""

    @property
    def is_between_replies(self) -> bool:
        """Whether all bytes belong to complete replies."""
        return not self._rest and not self._code

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that `data` completes. Lines end with a line feed; a carriage return before it is optional."""
        replies: list[Reply] = []
        if self.problem is not None:
            return replies
        self._size += len(data)
        *lines, rest = (self._rest + data if self._rest else data).split(b"\n")
        for line in lines:
            code, mark = line[:3], line[3:4]
            if code not in _CODES or mark not in b"- \t\r":
                self.problem = f"invalid reply: {without_addresses(line[:MAX_LINE])}"
                return replies
            if self._code and code != self._code:
                self.problem = f"invalid reply: its lines have the codes {self._code.decode()} and {code.decode()}"
                return replies
            text = line[4:MAX_LINE]
            if mark == b"-":
                self._code = code
                if len(self._text) < MAX_TEXT:
                    self._text += text + b"\n"
                continue
            replies.append(Reply(_CODES[code], (self._text + text)[: MAX_TEXT + MAX_LINE]))
            self._code, self._text, self._size = b"", b"", 0
        self._rest = rest[:MAX_LINE]
        if self._size > MAX_REPLY:
            self.problem = f"invalid reply: longer than {MAX_REPLY >> 20} MiB"
        return replies


def status_of(code: int, text: bytes) -> str | None:
    """Return the enhanced status code at the beginning of `text`, or None. Its class must be that of the reply code."""
    match = _STATUS.match(text)
    return match[0].decode().strip() if match is not None and int(match[1]) == code // 100 else None


def printable(raw: bytes) -> str:
    """Return the server's text as printable characters on one line.

    A line that is not UTF-8 is read as Latin-1, in which every byte is valid. Control characters, escape sequences, invisible characters
    and unassigned code points become blanks.
    """
    text = " ".join(" ".join([_decode(line) for line in raw[: MAX_TEXT + MAX_LINE].split(b"\n")]).split())
    if text.isprintable():
        return text
    return " ".join("".join([letter if letter.isprintable() else " " for letter in text]).split())


def without_addresses(raw: bytes) -> str:
    """Return the server's text as `printable` does, with each address replaced, and at most `MAX_CHARACTERS` long."""
    text = printable(raw)
    if "@" in text:
        if len(text) > 4 * MAX_CHARACTERS:
            # The last word may be the beginning of an address.
            text = text[: 4 * MAX_CHARACTERS].rpartition(" ")[0]
        text = _ADDRESS.sub("<address>", text)
    return text[:MAX_CHARACTERS].rstrip()


def _decode(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        # The cut of a long line may have divided its last character.
        is_cut = error.reason == "unexpected end of data"
        return line[: error.start].decode() if is_cut else line.decode("latin-1")
