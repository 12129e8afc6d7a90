"""The logo of emails: sizes of PNG and JPEG pictures, and files that emails cannot carry."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.mail.rendering.logo import MAX_BYTES, UnusableLogo, read_logo
from tests.harness.logos import jpeg_head, png


@pytest.mark.parametrize(
    ("name", "data", "kind", "size"),
    [
        ("a.png", png(400, 60), "image/png", (200, 30)),
        ("a.png", png(30, 20), "image/png", (30, 20)),
        ("a.jpg", jpeg_head(500, 480), "image/jpeg", (50, 48)),
        ("a.jpeg", png(9000, 1), "image/png", (200, 1)),
    ],
)
def test_size(tmp_path: Path, name: str, data: bytes, kind: str, size: tuple[int, int]) -> None:
    """A picture is made smaller to fit, never larger, and its kind is that of its bytes."""
    (tmp_path / name).write_bytes(data)
    logo = read_logo(tmp_path / name)
    assert (logo.media_type, (logo.width, logo.height)) == (kind, size)
    assert logo.file_name == f"logo.{kind.removeprefix('image/')}"


def test_id(tmp_path: Path) -> None:
    """Another picture has another id, so that no email program shows the old one."""
    ids = set()
    for width in (10, 11):
        (tmp_path / "a.png").write_bytes(png(width, 10))
        ids.add(read_logo(tmp_path / "a.png").content_id)
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.svg", b"<svg/>", "SVG"),
        ("a.webp", b"RIFF", "WEBP"),
        ("a.png", png(10, 10) + bytes(MAX_BYTES), "64 kB"),
        ("a.png", b"<svg/>", "not a readable"),
        ("a.png", png(10, 10)[:20], "not a readable"),
        ("a.png", png(0, 10), "not a readable"),
        ("a.jpg", b"", "not a readable"),
        ("a.jpg", jpeg_head(10, 10)[:14], "not a readable"),
        ("a.jpg", b"\xff\xd8\xff\xd8\x00", "not a readable"),
        ("a.jpg", b"\xff\xd8" + b"\xff\xe0\x00\x00" * 9, "not a readable"),
    ],
)
def test_unusable(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    """Other kinds of pictures, large and damaged files are refused with the reason."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnusableLogo, match=reason):
        read_logo(tmp_path / name)
