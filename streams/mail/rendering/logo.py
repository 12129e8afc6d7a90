"""The logo of emails: a PNG or JPEG picture that each email carries, so that reading an email asks no server for it."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from msgspec import Struct

#: Bytes of a picture that emails carry: each email has all of them.
MAX_BYTES = 64 * 1024
#: Pixels of the area in which emails show the logo.
MAX_WIDTH, MAX_HEIGHT = 200, 48
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
#: The markers of a JPEG file before the size of its picture (ITU T.81, table B.1), and those without a length.
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


class UnusableLogo(ValueError):
    """A picture that emails cannot carry. The text says why."""


class Logo(Struct, frozen=True, dict=True):
    """A picture with the size in which emails show it.

    Attributes:
        data: the file.
        media_type: `image/png` or `image/jpeg`.
        width, height: pixels on the screen.
    """

    data: bytes
    media_type: str
    width: int
    height: int

    @cached_property
    def content_id(self) -> str:
        """The id by which the HTML part refers to the picture (RFC 2392)."""
        return f"logo.{hashlib.sha256(self.data).hexdigest()[:16]}@takk"

    @property
    def file_name(self) -> str:
        """The name under which email programs may save it."""
        return f"logo.{self.media_type.removeprefix('image/')}"


def read_logo(path: Path) -> Logo:
    """Return the picture at `path`, in a size that fits the logo's area.

    Raises:
        UnusableLogo: it is not a PNG or JPEG picture, or is too large.
        OSError: the file cannot be read.
    """
    if path.suffix not in (".png", ".jpg", ".jpeg"):
        raise UnusableLogo(f"many email programs do not show {path.suffix[1:].upper()}")
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise UnusableLogo(f"the file has {len(data) // 1024} kB, and each email would carry all of them")
    size = _png_size(data) or _jpeg_size(data)
    if size is None or not all(size):
        raise UnusableLogo("the file is not a readable PNG or JPEG picture")
    width, height = size
    scale = min(1.0, MAX_WIDTH / width, MAX_HEIGHT / height)
    media_type = "image/png" if data.startswith(_PNG) else "image/jpeg"
    return Logo(data, media_type, max(1, round(width * scale)), max(1, round(height * scale)))


def _png_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(_PNG) or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height from the frame header of a JPEG file (ITU T.81, B.2.2); None if it has no such header."""
    at = 2 if data.startswith(_JPEG) else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        if marker == 0xFF:  # a fill byte
            at += 1
        else:
            at += 2 + (0 if marker in _ALONE else int.from_bytes(data[at + 2 : at + 4], "big"))
    return None
