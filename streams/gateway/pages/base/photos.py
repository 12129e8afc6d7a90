"""Photos that customers upload: checked, scaled down and encoded again, so that nothing but the picture remains of the file.

Pillow decodes untrusted bytes. Only three decoders are allowed, the size is read before the picture is decoded, and the result is a new JPEG
without metadata such as the place where the photo was taken.
"""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from PIL import Image, ImageOps

#: Bytes of an uploaded file.
MAX_PHOTO = 10 << 20
#: The formats that are decoded.
FORMATS = ("JPEG", "PNG", "WEBP")
#: Pixels of a picture that is decoded: 50 million need 150 MB for a moment. Phones make 12 to 48 million.
MAX_PIXELS = 50_000_000
#: The shortest and the longest side in pixels; what is longer is scaled down to LONGEST.
LEAST, MOST, LONGEST = 100, 12_000, 2400
_QUALITY = 85
Reason = Literal["type", "dimensions"]
#: Pictures are decoded one at a time, for the memory that they need.
_DECODER = ThreadPoolExecutor(1, thread_name_prefix="photos")


class InvalidPhoto(ValueError):
    """A file that is not accepted as a photo.

    Attributes:
        reason: `type`: it is not a picture of a known format; `dimensions`: it is too small or too large.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


async def encoded(content: bytes) -> bytes:
    """Return a photo as a new JPEG without metadata, on another thread.

    Raises:
        InvalidPhoto: the file is not accepted.
    """
    return await asyncio.get_running_loop().run_in_executor(_DECODER, encode, content)


def encode(content: bytes) -> bytes:
    """Return a photo as a new JPEG without metadata. Errors as `encoded`."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            _check_size(picture.size)
            # A JPEG is decoded at a fraction of its size if that is enough.
            picture.draft("RGB", (LONGEST, LONGEST))
            picture.load()
            return _as_jpeg(ImageOps.exif_transpose(picture))
    except InvalidPhoto:
        raise
    except Image.DecompressionBombError as error:
        raise InvalidPhoto("dimensions") from error
    except Exception as error:
        # Decoders raise many kinds of errors for bytes that are not a picture.
        raise InvalidPhoto("type") from error


def _check_size(size: tuple[int, int]) -> None:
    width, height = size
    if min(size) < LEAST or max(size) > MOST or width * height > MAX_PIXELS:
        raise InvalidPhoto("dimensions")


def _as_jpeg(picture: Image.Image) -> bytes:
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        flat = Image.new("RGB", picture.size, "white")
        flat.paste(picture.convert("RGBA"), mask=picture.convert("RGBA").getchannel("A"))
        picture = flat
    pixels = Image.frombytes("RGB", picture.size, picture.convert("RGB").tobytes())  # without the file's metadata
    out = io.BytesIO()
    pixels.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()
