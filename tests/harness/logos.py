"""Small logos of one color, as files of PNG and JPEG."""

from __future__ import annotations

import struct
import zlib


def png(width: int, height: int) -> bytes:
    """Return a green PNG picture (ISO 15948)."""
    rows = (b"\x00" + b"\x0b\x3d\x24" * width) * height
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
    )


def jpeg_head(width: int, height: int) -> bytes:
    """Return the start of a JPEG file up to its frame header (ITU T.81), after a comment and a fill byte."""
    comment = b"\xff\xfe" + struct.pack(">H", 5) + b"tea"
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + comment + b"\xff" + frame
