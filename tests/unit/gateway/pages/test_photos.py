"""Photos: only pictures are accepted, within limits, encoded again without metadata, and stored once."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import stat
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from streams.gateway.context import Unavailable
from streams.gateway.pages.base.photos import LONGEST, MAX_PHOTO, InvalidPhoto, encode, encoded
from streams.gateway.pages.base.uploads import PhotoFolder
from streams.wire.topics import CONTEST_ENTRIES, ENGAGEMENT
from tests.harness.color_profiles import DISPLAY_P3
from tests.harness.pages import Pages, picture, submit, submit_photo


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims to have this size, with hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def files_in(folder: Path) -> list[Path]:
    """Return the files below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
def test_picture_becomes_jpeg(format: str, mode: str) -> None:
    """Each format and color mode becomes a JPEG of the same size."""
    if format == "WEBP" or (format, mode) in (("JPEG", "RGBA"), ("JPEG", "P"), ("PNG", "CMYK")):
        mode = "RGB"
    color = {"L": 7, "P": 7, "RGBA": (1, 2, 3, 0), "CMYK": (1, 2, 3, 4)}.get(mode, "teal")
    out = Image.open(io.BytesIO(encode(picture((640, 200), format, mode=mode, color=color))))
    assert (out.format, out.mode, out.size) == ("JPEG", "RGB", (640, 200))


def test_metadata_is_removed_and_the_picture_upright() -> None:
    """The place of a photo is removed, and its orientation is applied."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the right
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    exif[0x010E] = "secret place"
    content = picture((400, 300), exif=exif.tobytes(), comment=b"secret comment")
    assert b"secret" in content
    result = encode(content)
    out = Image.open(io.BytesIO(result))
    assert out.size == (300, 400)
    assert not out.getexif()
    assert b"secret" not in result
    assert b"Exif" not in result


def is_near(found: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Return whether two colors look the same, as far as JPEG keeps them."""
    return all(abs(one - other) <= 4 for one, other in zip(found, expected, strict=True))


def color_of(content: bytes) -> tuple[int, ...]:
    """Return the color in the middle of an encoded photo."""
    out = Image.open(io.BytesIO(encode(content)))
    assert (out.mode, "icc_profile" in out.info) == ("RGB", False)
    color = out.getpixel((out.width // 2, out.height // 2))
    assert isinstance(color, tuple)
    return color


@pytest.mark.parametrize(
    ("format", "mode"), [("JPEG", "RGB"), ("WEBP", "RGB"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P")]
)
def test_colors_of_a_profile(format: str, mode: str) -> None:
    """Colors of Display P3, which phones use, look the same without the profile: those of sRGB are converted to it."""
    for wide, expected in (
        ((234, 51, 35), (255, 0, 0)),
        ((117, 251, 76), (0, 255, 0)),
        ((128, 128, 128), (128, 128, 128)),
    ):
        content = Image.new("RGB", (200, 200), wide)
        content = content.quantize(16) if mode == "P" else content.convert(mode)
        out = io.BytesIO()
        content.save(out, format, icc_profile=DISPLAY_P3, **({"lossless": True} if format == "WEBP" else {}))
        assert is_near(color_of(out.getvalue()), expected), wide


def test_colors_behind_transparency() -> None:
    """Transparent parts are white, and the rest has the colors of the profile."""
    content = Image.new("RGBA", (200, 200), (234, 51, 35, 128))
    out = io.BytesIO()
    content.save(out, "PNG", icc_profile=DISPLAY_P3)
    assert is_near(color_of(out.getvalue()), (255, 127, 127))


@pytest.mark.parametrize(
    "profile", [b"x", b"x" * 3000, DISPLAY_P3[:200], DISPLAY_P3.replace(b"RGB ", b"GRAY", 1), bytes(128)]
)
@pytest.mark.parametrize(("mode", "color"), [("RGB", (200, 100, 50)), ("L", 100), ("CMYK", (0, 0, 0, 100))])
def test_profile_that_does_not_fit(profile: bytes, mode: str, color: Any) -> None:
    """A photo whose profile is damaged, or for another kind of picture, is accepted with the colors that it has."""
    expected = {"RGB": (200, 100, 50), "L": (100, 100, 100), "CMYK": (155, 155, 155)}[mode]
    found = color_of(picture(format="JPEG", mode=mode, color=color, quality=100, icc_profile=profile))
    assert is_near(found, expected) or mode == "L"  # a profile of grays fits a gray picture


@pytest.mark.parametrize(("gray", "expected"), [(0, 0), (300, 1), (32_768, 128), (40_000, 156), (65_535, 255)])
@pytest.mark.parametrize("is_transparent", [False, True])
def test_gray_of_16_bits(gray: int, expected: int, is_transparent: bool) -> None:
    """A gray picture with 16 bits per pixel keeps its brightness."""
    options = {"transparency": gray} if is_transparent else {}
    assert is_near(color_of(picture(format="PNG", mode="I;16", color=gray, **options)), (expected,) * 3)


def test_large_picture_is_scaled_down() -> None:
    """A picture that is larger than needed is scaled down."""
    assert max(Image.open(io.BytesIO(encode(picture((5000, 3000))))).size) == LONGEST


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "type"),
        (b"GIF89a" + bytes(100), "type"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "type"),
        (b"\xff\xd8\xff" + bytes(1000), "type"),
        (picture()[:400], "type"),
        (picture((99, 500)), "dimensions"),
        (picture((12_001, 120)), "dimensions"),
        (png_header(50_000, 50_000), "dimensions"),
        (png_header(11_000, 11_000), "dimensions"),
        (png_header(1000, 1000), "type"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
async def test_refused(content: bytes, reason: str) -> None:
    """A file that is not a picture, or has wrong dimensions, is refused before it needs memory. A decompression bomb is one of them."""
    with pytest.raises(InvalidPhoto) as error:
        await encoded(content)
    assert error.value.reason == reason


def test_photos_that_arrive_together() -> None:
    """Photos are decoded one after the other, also in a process that has had another event loop."""

    async def decode_two() -> list[bytes]:
        return await asyncio.gather(encoded(picture()), encoded(picture()))

    assert [len(asyncio.run(decode_two())) for _ in range(2)] == [2, 2]


async def test_store(tmp_path: Path) -> None:
    """A photo is stored once, under a name made of its content; a folder that takes nothing is temporary."""
    store = PhotoFolder(tmp_path / "uploads")
    name = await store.put(b"one")
    assert await store.put(b"one") == name
    assert await store.put(b"two") != name
    assert (tmp_path / "uploads" / name).read_bytes() == b"one"
    assert len(files_in(tmp_path)) == 2
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable):
        await PhotoFolder(tmp_path / "file").put(b"one")


@pytest.mark.parametrize("calls", range(3))
async def test_a_disk_that_does_not_keep_a_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    """A photo is accepted only once its content, its name and its folder are on the disk. A repeat does not rely on the first attempt."""
    store, synced = PhotoFolder(tmp_path), []

    def sync(number: int) -> None:
        if len(synced) == calls:
            raise OSError(errno.EIO, "Input/output error")
        synced.append(stat.S_ISDIR(os.fstat(number).st_mode))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        for _ in range(2 if calls else 1):
            with pytest.raises(Unavailable):
                await store.put(b"one")
    assert synced == [False, True][:calls]
    name = await store.put(b"one")
    assert (tmp_path / name).read_bytes() == b"one"


async def test_contest(tmp_path: Path) -> None:
    """An entry is published with its photo; the newest one of a customer counts."""
    pages = Pages(tmp_path)
    async with pages.client() as client:
        path = pages.link("k", "summer")
        for size in ((640, 480), (480, 640)):
            fields = {"caption": "Ved søen", "publish": "yes"}
            response = await submit_photo(client, path, fields, picture(size), name="../../etc/passwd")
            assert response.headers["Location"].endswith("done=entered")
    (topic, entry), (reaction_topic, reaction), (_, second), _ = pages.topics()
    assert (topic, entry["contest"], entry["caption"], entry["may_publish"]) == (
        CONTEST_ENTRIES,
        "summer",
        "Ved søen",
        True,
    )
    assert (reaction_topic, reaction["kind"], reaction["event_id"]) == (
        ENGAGEMENT,
        "contest_entered",
        entry["entry_id"],
    )
    assert second["entry_id"] == entry["entry_id"]
    assert second["photo"] != entry["photo"]
    assert (tmp_path / entry["photo"]).resolve().is_relative_to(tmp_path)


async def test_contest_refuses(tmp_path: Path) -> None:
    """A missing, unreadable or too large photo shows the page again, with the caption that was typed."""
    pages = Pages(tmp_path)
    async with pages.client() as client:
        path = pages.link("k", "summer")
        answers = [
            await submit_photo(client, path, {"caption": "Hej"}, b""),
            await submit_photo(client, path, {"caption": "Hej"}, b"not a picture"),
            await submit_photo(client, path, {"caption": "Hej"}, bytes(MAX_PHOTO + 1)),
            await submit_photo(client, path, {"caption": "Hej" * 200}, picture()),
            await submit(client, path, {"caption": "Hej"}),
        ]
        assert [answer.status for answer in answers] == [422, 422, 413, 422, 422]
        for answer in answers:
            html = await answer.text()
            assert "Hej" in html
            assert 'role="alert"' in html
    assert pages.publisher.records == []
    assert files_in(tmp_path) == []
