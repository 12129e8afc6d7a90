"""Avro container files from outside, read within limits: the schema is safe (`safety.py`), and a block cannot grow without end.

fastavro decompresses a whole block at once, so a file of 64 kB can take gigabytes of memory.

Source: Avro 1.12 specification, "Object Container Files".
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any, BinaryIO

from fastavro import parse_schema, schemaless_reader

from streams.runtime.avro.safety import MAX_SCHEMA_CHARS, check_safe, parse_json

MAGIC = b"Obj\x01"
SYNC_BYTES = 16
#: Bytes of one block, as they are in the file and decompressed. Writers make blocks of 16 kB to a few MB.
MAX_BLOCK_BYTES = 64 << 20
#: Entries of the header, and bytes of one of them; the schema is one.
MAX_ENTRIES, MAX_ENTRY_BYTES = 1_000, 4 * MAX_SCHEMA_CHARS
#: Bytes that the decompression of xz may use for its dictionary.
XZ_MEMORY_BYTES = 256 << 20


class InvalidContainer(ValueError):
    """A file that is not a container file, is damaged, or is beyond a limit. The text has no data of the file."""


class Container:
    """A container file. `schema` is the writer's schema, as JSON; `records` checks it.

    Args:
        file: the file, opened for reading bytes, at its start.

    Raises:
        InvalidContainer: the header is invalid, or the codec is not supported.
        UnsafeSchema: the schema is not JSON, or too long.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        if file.read(len(MAGIC)) != MAGIC:
            raise InvalidContainer("the file does not start as an Avro container file")
        header = self._read_header()
        try:
            text = header["avro.schema"].decode()
            codec = header.get("avro.codec", b"null").decode()
        except (KeyError, UnicodeDecodeError):
            raise InvalidContainer("the header has no valid schema") from None
        self.schema: Any = parse_json(text)
        if codec not in _DECOMPRESS:
            raise InvalidContainer(f"the codec {codec[:40]!r} is not supported; use one of {', '.join(_DECOMPRESS)}")
        self._decompress = _DECOMPRESS[codec]
        self._sync = self._exactly(SYNC_BYTES)

    def records(self, reader_schema: Any) -> Iterator[dict[str, Any]]:
        """Yield the records, resolved to `reader_schema`.

        Raises:
            UnsafeSchema: the writer's schema is invalid or beyond a limit.
            InvalidContainer: a block is damaged or too large.
            SchemaResolutionError: the schemas do not fit together.
            Exception: fastavro raises many kinds of errors for invalid records.
        """
        check_safe(self.schema)
        writer = parse_schema(self.schema)
        reader = parse_schema(reader_schema)
        while (count := self._long(may_end=True)) is not None:
            size = self._long() or 0
            if count < 0 or not 0 <= size <= MAX_BLOCK_BYTES:
                raise InvalidContainer(f"a block of {size} bytes; the limit is {MAX_BLOCK_BYTES}")
            data = BytesIO(self._decompressed(self._exactly(size)))
            length = len(data.getbuffer())
            # Each record of a safe schema has at least one byte.
            if count > length:
                raise InvalidContainer("a block has more records than bytes")
            for _ in range(count):
                yield schemaless_reader(data, writer, reader)
            if data.tell() != length:
                raise InvalidContainer("a block has bytes after its records")
            if self._exactly(SYNC_BYTES) != self._sync:
                raise InvalidContainer("a block does not end with the sync marker")

    def _read_header(self) -> Mapping[str, bytes]:
        entries: dict[str, bytes] = {}
        while count := self._long() or 0:
            if count < 0:
                self._long()  # the size of the entries in bytes
            if abs(count) + len(entries) > MAX_ENTRIES:
                raise InvalidContainer(f"the header has more than {MAX_ENTRIES} entries")
            for _ in range(abs(count)):
                name = self._bytes().decode("utf-8", "replace")
                entries[name] = self._bytes()
        return entries

    def _bytes(self) -> bytes:
        size = self._long() or 0
        if not 0 <= size <= MAX_ENTRY_BYTES:
            raise InvalidContainer(f"an entry of the header has {size} bytes; the limit is {MAX_ENTRY_BYTES}")
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise InvalidContainer("the file ends too early")
        return data

    def _long(self, *, may_end: bool = False) -> int | None:
        """Return the next number; None at the end of the file, if it may end here."""
        number = shift = 0
        while True:
            byte = self._file.read(1)
            if not byte:
                if may_end and shift == 0:
                    return None
                raise InvalidContainer("the file ends too early")
            number |= (byte[0] & 0x7F) << shift
            shift += 7
            if byte[0] < 0x80:
                return number >> 1 ^ -(number & 1)
            if shift > 63:
                raise InvalidContainer("a number has more than ten bytes")

    def _decompressed(self, data: bytes) -> bytes:
        try:
            out = self._decompress(data)
        except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError) as error:
            raise InvalidContainer(f"a block cannot be decompressed ({type(error).__name__})") from None
        if len(out) > MAX_BLOCK_BYTES:
            raise InvalidContainer(f"a decompressed block has more than {MAX_BLOCK_BYTES} bytes")
        return out


def _inflate(data: bytes) -> bytes:
    # Raw deflate, without zlib's header (RFC 1951).
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, MAX_BLOCK_BYTES + 1)


def _bunzip(data: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, MAX_BLOCK_BYTES + 1)


def _unxz(data: bytes) -> bytes:
    return lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES).decompress(data, MAX_BLOCK_BYTES + 1)


_DECOMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "null": bytes, "deflate": _inflate, "bzip2": _bunzip, "xz": _unxz
}  # fmt: skip
