"""Reads the forms of pages: bounded bodies, plain texts, and a value that proves that the form came from a page of this link."""

from __future__ import annotations

import hashlib
import hmac
import re
import warnings
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.multipart import BadContentDispositionHeader, BadContentDispositionParam

from streams.core.values.tokens import use_key
from streams.gateway.context import Gateway

#: Bytes of a form without a photo. The longest text has 5,000 characters.
MAX_FORM = 64 << 10
#: Bytes of a form with a photo. A photo that is too large is read up to here, and dropped, so that the browser shows the page that says so.
MAX_BODY = 64 << 20
#: Lines of a multipart body outside of its values: some six for each field.
MAX_LINES = 4_000
#: Fields of a form; the preference page has some sixty.
MAX_FIELDS = 300
#: The name of the hidden field that proves where a form comes from.
CHECK = "check"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# C0 and C1 controls but tab and line feed, line and paragraph separators, and the characters that change the direction of writing or
# stand for an annotation.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]")
_CHECK = re.compile(r"([0-9a-f]{1,12})\.([0-9a-f]{32})\Z")


class TooLarge(ValueError):
    """A body that is larger than a form can be."""


@dataclass(frozen=True)
class Form:
    """The fields of a form.

    Attributes:
        fields: name to values, as the browser sent them.
        photo: the bytes of the uploaded file; empty: none.
        is_photo_too_large: whether the file was larger than photos may be; then `photo` is empty.
    """

    fields: Mapping[str, list[str]] = field(default_factory=dict)
    photo: bytes = b""
    is_photo_too_large: bool = False

    def text(self, name: str) -> str:
        """Return the first value of a field as a text for people, or "".

        It has no control characters, not even invisible ones that change the direction of writing. Line breaks are `\\n`, and there
        are no blanks at both ends.
        """
        value = self.exact(name).replace("\r\n", "\n").replace("\r", "\n")
        return _CONTROL.sub("", value).strip()

    def line(self, name: str) -> str:
        """Return the first value of a field as a text of one line, or ""."""
        return " ".join(self.text(name).split())

    def exact(self, name: str) -> str:
        """Return the first value of a field as the browser sent it, or "": for ids, which may have blanks at their ends."""
        values = self.fields.get(name)
        return values[0] if values else ""

    def all(self, name: str) -> list[str]:
        """Return all values of a field as the browser sent them, such as the ticked boxes of a group."""
        return list(self.fields.get(name, ()))

    def number(self, name: str, least: int, most: int) -> int | None:
        """Return a whole number between `least` and `most`, or None if the field has no such number."""
        return whole_number(self.text(name), least, most)


#: The form of a request, whose body can be read only once.
_FORM: web.RequestKey[Form] = web.RequestKey("form", Form)
_TOO_LARGE: web.RequestKey[bool] = web.RequestKey("form_too_large", bool)


def whole_number(text: str, least: int, most: int) -> int | None:
    """Return the whole number in a text, or None if it is not one between `least` and `most`."""
    if not re.fullmatch(r"[0-9]{1,6}", text) or not least <= int(text) <= most:
        return None
    return int(text)


async def read_form(request: web.Request, max_photo: int = 0) -> Form:
    """Return the form in a request's body, also if it was read before. A body of an unknown type is an empty form.

    Args:
        request: the request.
        max_photo: bytes that the file in the field `photo` may have; 0: the form has none.

    Raises:
        TooLarge: the body is too large.
    """
    if _TOO_LARGE in request:
        raise TooLarge("the body is too large")  # what is left of it is not a form
    if _FORM not in request:
        try:
            request[_FORM] = await _read(request, max_photo)
        except TooLarge:
            request[_TOO_LARGE] = True
            raise
    return request[_FORM]


async def _read(request: web.Request, max_photo: int) -> Form:
    if request.content_type == "application/x-www-form-urlencoded":
        raw = await _bounded(request.content.iter_any(), MAX_FORM)
        try:
            pairs = parse_qsl(
                raw.decode("utf-8", "replace"), keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS
            )
        except ValueError as error:
            raise TooLarge("too many fields") from error
        return Form(_fields(pairs))
    if request.content_type == "multipart/form-data":
        try:
            return await _multipart(request, max_photo)
        except TooLarge:
            raise
        except (ValueError, AssertionError, LookupError, RuntimeError, HttpProcessingError):
            return Form()  # a body that breaks the rules of multipart has no fields
    return Form()


class _Body:
    """The content of a request, of which only `left` bytes and MAX_LINES lines are read. It has the methods that MultipartReader uses."""

    def __init__(self, content: StreamReader, limit: int) -> None:
        self._content = content
        self._left, self._lines = limit, MAX_LINES

    async def read(self, size: int) -> bytes:
        """Return up to `size` bytes. Raise TooLarge."""
        return self._counted(await self._content.read(size))

    async def readline(self, **limits: int) -> bytes:
        """Return a line. Raise TooLarge."""
        self._lines -= 1
        return self._counted(await self._content.readline(**limits))

    def unread_data(self, data: bytes) -> None:
        """Return bytes that belong to what follows."""
        self._left += len(data)
        self._content.unread_data(data)

    def at_eof(self) -> bool:
        """Return whether everything was read."""
        return self._content.at_eof()

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0 or self._lines < 0:
            raise TooLarge("too many bytes")
        return data


def ignore_bad_headers() -> None:
    """Keep headers of clients out of the warnings of the process: each other text would be printed, and kept in memory."""
    for kind in (BadContentDispositionHeader, BadContentDispositionParam):
        warnings.filterwarnings("ignore", category=kind)


async def _multipart(request: web.Request, max_photo: int) -> Form:
    most = MAX_BODY if max_photo else MAX_FORM
    if (request.content_length or 0) > most:
        raise TooLarge("too many bytes")
    reader = MultipartReader(request.headers, cast(StreamReader, _Body(request.content, most)))
    pairs: list[tuple[str, str]] = []
    left, parts, photo, is_too_large = MAX_FORM, 0, b"", False
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader):
            raise TooLarge("a form within a form")
        parts += 1
        name = (part.name or "")[:100]
        if part.filename is not None or name == "photo":
            try:
                content = await _file(part, max_photo)
            except TooLarge:
                if not max_photo:
                    raise
                # The fields before the file are all that is kept.
                return Form(_fields(pairs), is_photo_too_large=True)
            is_too_large |= content is None and max_photo > 0
            photo = photo or content or b""
        else:
            raw = await _bounded(_chunks(part), left)
            left -= len(raw) + len(name)
            pairs.append((name, raw.decode("utf-8", "replace")))
        if parts > MAX_FIELDS or left < 0:
            raise TooLarge("too many fields")
    return Form(_fields(pairs), b"" if is_too_large else photo, is_too_large)


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk():
        yield bytes(chunk)


async def _file(part: BodyPartReader, limit: int) -> bytes | None:
    """Return the content of a file; None if it has more than `limit` bytes, which are dropped."""
    found, size = bytearray(), 0
    async for chunk in _chunks(part):
        size += len(chunk)
        if size <= limit:
            found += chunk
        else:
            found.clear()
    return bytes(found) if size <= limit else None


async def _bounded(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    found = bytearray()
    async for chunk in chunks:
        found += chunk
        if len(found) > limit:
            raise TooLarge("too many bytes")
    return bytes(found)


def _fields(pairs: list[tuple[str, str]]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


# -- where a form comes from --------------------------------------------------------------------------------------------


def form_check(gateway: Gateway, token: str, made_at: datetime) -> str:
    """Return the value of the hidden field of a form: when the page was made, and an HMAC of that and the link's token."""
    made = f"{(made_at - _EPOCH) // timedelta(milliseconds=1):x}"
    return f"{made}.{_signed(gateway, token, made)}"


def made_at(gateway: Gateway, token: str, form: Form) -> str:
    """Return the hexadecimal time at which a form's page was made; "" if the form does not come from a page of this link.

    It distinguishes a second decision of the customer from a form that was submitted twice.
    """
    match = _CHECK.match(form.text(CHECK))
    if match is None or not hmac.compare_digest(match[2], _signed(gateway, token, match[1])):
        return ""
    return match[1]


def _signed(gateway: Gateway, token: str, made: str) -> str:
    secret: Any = gateway.settings.mail_secret
    key = use_key(secret.get_secret_value().encode(), "form")
    return hmac.new(key, f"{made}\0{token}".encode(), hashlib.sha256).hexdigest()[:32]


def is_foreign(request: web.Request, base_url: str) -> bool:
    """Return whether a browser says that a form was submitted from another site.

    Pages have the policy no-referrer, so browsers send `Origin: null` for their forms.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = request.headers.get("Origin", "null")
    if origin == "null":
        return False
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return True
    return host not in (request.host, urlsplit(base_url).netloc)
