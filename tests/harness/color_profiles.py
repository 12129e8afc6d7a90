"""Color profiles for pictures (ICC.1:2022)."""

from __future__ import annotations

import struct


def _fixed(*values: float) -> bytes:
    """Return numbers of 16.16 bits."""
    return b"".join(struct.pack(">i", round(value * 65_536)) for value in values)


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(data), 28) + data


def rgb_profile(red: bytes, green: bytes, blue: bytes, white: bytes, curve: bytes) -> bytes:
    """Return an RGB profile of primaries, white point and one curve for the three colors."""
    tags = {
        b"desc": _text("test"), b"cprt": _text("none"), b"wtpt": white, b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue,
        b"rTRC": curve, b"gTRC": curve, b"bTRC": curve,
    }  # fmt: skip
    table, data, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    size = start + len(data)
    head = struct.pack(">I4sI4s4s4s12s4s", size, b"", 0x04300000, b"mntr", b"RGB ", b"XYZ ", bytes(12), b"acsp")
    head += bytes(68 - len(head)) + _fixed(0.9642, 1.0, 0.8249)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + data


#: Display P3: the primaries of DCI-P3 with the white and the curve of sRGB, adapted to D50.
DISPLAY_P3 = rgb_profile(
    _xyz(0.51512, 0.24120, -0.00105),
    _xyz(0.29198, 0.69225, 0.04189),
    _xyz(0.15710, 0.06657, 0.78407),
    _xyz(0.96420, 1.00000, 0.82491),
    b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
)
