"""Photos that customers upload: checked, scaled down and encoded again, so that nothing but the picture remains of the file.

Pillow decodes untrusted bytes. Only three decoders are allowed, the size is read before the picture is decoded, and the result is a new JPEG
without metadata such as the place where the photo was taken.
"""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from PIL import Image, ImageCms, ImageOps

#: Bytes of an uploaded file.
MAX_PHOTO = 10 << 20
#: The formats that are decoded.
FORMATS = ("JPEG", "PNG", "WEBP")
#: Pixels of a picture that is decoded: 50 million need 150 MB for a moment. Phones make 12 to 48 million.
MAX_PIXELS = 50_000_000
#: The shortest and the longest side in pixels; what is longer is scaled down to LONGEST.
LEAST, MOST, LONGEST = 100, 12_000, 2400
_QUALITY = 85
#: Bytes of a color profile; those of cameras and phones have some 500, those of printers up to 3 million.
MAX_PROFILE = 4 << 20
_SRGB = ImageCms.createProfile("sRGB")
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
    if picture.mode.startswith("I"):
        picture = _of_8_bits(picture)
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    profile = picture.info.get("icc_profile")
    if picture.mode in ("RGBA", "LA", "La", "PA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
        picture = Image.composite(
            _in_srgb(picture.convert("RGB"), profile), Image.new("RGB", picture.size, "white"), alpha
        )
    else:
        picture = _in_srgb(picture, profile)
    pixels = Image.frombytes("RGB", picture.size, picture.tobytes())  # without the file's metadata
    out = io.BytesIO()
    pixels.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()


def _of_8_bits(picture: Image.Image) -> Image.Image:
    """Return a gray picture of 16 bits per pixel with 8 bits. Its conversion would clip whatever is brighter than 255 of 65,535."""
    found = Image.frombytes("L", picture.size, picture.convert("I;16").tobytes()[1::2])  # the upper byte of each pixel
    # A transparent gray is one of 65,536, so it is not transferred: it would stand for 256 of them.
    found.info = {name: value for name, value in picture.info.items() if name != "transparency"}
    return found


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an RGB picture in sRGB, the colors of a picture without a profile. Without a profile that fits, the colors stay.

    Args:
        picture: the picture.
        profile: its ICC profile, or None.
    """
    plain = picture if picture.mode in ("L", "CMYK", "RGB") else picture.convert("RGB")
    if profile and len(profile) <= MAX_PROFILE:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(plain, source, _SRGB, outputMode="RGB") or plain
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a damaged profile, or one for other pictures: the photo is worth more than its exact colors
    return plain.convert("RGB")
