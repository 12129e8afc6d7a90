"""The codec of stored values: the version byte, upcasts and versions that are refused."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Struct

from streams.core.model.versioned_codec import UnknownVersion, VersionedCodec


class Point(Struct, frozen=True, array_like=True):
    """A value whose third version has the field `z`, in millimetres."""

    x: int
    y: int
    z: int = 0


def _in_millimetres(value: object) -> object:
    assert isinstance(value, list)
    return [1000 * number for number in value]


CODEC: VersionedCodec[Point] = VersionedCodec(Point, "point", 3, {1: _in_millimetres, 2: lambda value: value})


def test_the_version_is_the_first_byte() -> None:
    """A value is written as one byte of version and msgpack, and read back equal."""
    data = CODEC.encode(Point(1, 2, 3))
    assert data == b"\x03" + msgspec.msgpack.encode([1, 2, 3])
    assert CODEC.decode(data) == Point(1, 2, 3)


@pytest.mark.parametrize(("version", "expected"), [(1, Point(1000, 2000)), (2, Point(1, 2)), (3, Point(1, 2))])
def test_older_versions_are_converted(version: int, expected: Point) -> None:
    """Each upcast leads from one version to the next; fields that a version lacks get their defaults."""
    assert CODEC.decode(bytes((version,)) + msgspec.msgpack.encode([1, 2])) == expected


@pytest.mark.parametrize("data", [b"", b"\x00\x90", b"\x04\x90", b"\xff"])
def test_unknown_versions_are_refused(data: bytes) -> None:
    """Empty bytes, a newer version and a version without an upcast raise an error that names the kind of value."""
    with pytest.raises(UnknownVersion, match=r"^point of version \d+: this program reads versions up to 3"):
        CODEC.decode(data)


def test_damaged_bytes_are_refused() -> None:
    """Bytes of a known version that are not such a value raise the decoder's error."""
    with pytest.raises(msgspec.DecodeError):
        CODEC.decode(b"\x03\x90")
