"""Avro container files from outside: ordinary ones are read as fastavro reads them, hostile ones cost little."""

from __future__ import annotations

import bz2
import io
import json
import lzma
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.runtime.avro import container
from streams.runtime.avro.compiled import varint
from streams.runtime.avro.container import Container, InvalidContainer
from streams.runtime.avro.safety import UnsafeSchema
from streams.runtime.avro.schemas import load_schemas
from streams.tools.simulation.history import HistoryError, from_files
from streams.wire.codec import SCHEMAS
from tests.harness import records
from tests.harness.examples import examples

ORDER = load_schemas(SCHEMAS)["order"]
SYNC = b"s" * 16


def number(value: int) -> bytes:
    """Return a number in Avro's encoding."""
    return varint(value).encode("latin-1")


def text(value: bytes) -> bytes:
    """Return bytes in Avro's encoding."""
    return number(len(value)) + value


def file_of(schema: Any, *blocks: tuple[int, bytes], codec: bytes = b"null") -> bytes:
    """Return a container file with blocks of (number of records, data)."""
    written = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    header = (
        b"Obj\x01"
        + number(2)
        + text(b"avro.schema")
        + text(written)
        + text(b"avro.codec")
        + text(codec)
        + number(0)
        + SYNC
    )
    return header + b"".join(number(count) + text(data) + SYNC for count, data in blocks)


def read(content: bytes, schema: Any = ORDER) -> list[Any]:
    return list(Container(io.BytesIO(content)).records(schema))


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_files_of_fastavro(codec: str) -> None:
    """Files with many blocks are read as fastavro reads them, in each codec."""
    written = [records.order(order_id=f"o{at}") for at in range(300)]
    out = io.BytesIO()
    fastavro.writer(out, fastavro.parse_schema(dict(ORDER)), written, codec=codec, sync_interval=1000)
    out.seek(0)
    assert read(out.getvalue()) == list(fastavro.reader(out, ORDER))


ZEROS = b"\0" * (200 << 20)
NULLS = {"type": "record", "name": "Order", "fields": [{"name": "a", "type": {"type": "array", "items": "null"}}]}
RECURSIVE = {"type": "record", "name": "Order", "fields": [{"name": "a", "type": ["null", "Order"]}]}
TEXTS = {"type": "record", "name": "Order", "fields": [{"name": "customer_id", "type": "string"}]}


def raw_deflate(data: bytes) -> bytes:
    """Return data compressed without zlib's header."""
    out = zlib.compressobj(9, zlib.DEFLATED, -15)
    return out.compress(data) + out.flush()


HOSTILE = {
    "deflate bomb": lambda: file_of(TEXTS, (1, raw_deflate(ZEROS)), codec=b"deflate"),
    "bzip2 bomb": lambda: file_of(TEXTS, (1, bz2.compress(ZEROS)), codec=b"bzip2"),
    "xz bomb": lambda: file_of(TEXTS, (1, lzma.compress(ZEROS, preset=0)), codec=b"xz"),
    "array of nulls": lambda: file_of(NULLS, (1, number(1 << 60) + b"\0")),
    "recursive record": lambda: file_of(RECURSIVE, (1, b"\2" * 300_000 + b"\0")),
    "records without bytes": lambda: file_of({"type": "record", "name": "Order", "fields": []}, (1 << 60, b"")),
    "many records": lambda: file_of(TEXTS, (1 << 60, b"\0" * 10)),
    "negative records": lambda: file_of(TEXTS, (-5, b"\0" * 10)),
    "huge block": lambda: file_of(TEXTS) + number(1) + number(1 << 60),
    "negative block": lambda: file_of(TEXTS) + number(1) + number(-1),
    "huge entry": lambda: b"Obj\x01" + number(1) + number(1 << 60),
    "many entries": lambda: b"Obj\x01" + number(1 << 60) + text(b"a") * 10,
    "endless number": lambda: b"Obj\x01" + b"\xff" * 1000,
    "huge schema": lambda: file_of(b'"int"' + b" " * (1 << 20)),
    "deep schema": lambda: file_of(b"[" * 100_000),
    "schema is not text": lambda: file_of(b"\xff\xfe"),
    "unknown codec": lambda: file_of(TEXTS, codec=b"snappy"),
    "codec is not text": lambda: file_of(TEXTS, codec=b"\xff"),
    "damaged block": lambda: file_of(TEXTS, (1, b"\xff" * 50), codec=b"deflate"),
    "bytes after the records": lambda: file_of(TEXTS, (1, text(b"a") + b"xyz")),
    "another marker": lambda: file_of(TEXTS, (1, text(b"a")))[:-16] + b"x" * 16,
    "text too long": lambda: file_of(TEXTS, (1, number(1 << 60))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name: str, tmp_path: Path) -> None:
    """A file that could hang or crash the tool is an error that names the file, and uses little memory."""
    path = tmp_path / "orders.avro"
    path.write_bytes(HOSTILE[name]())
    tracemalloc.start()
    with pytest.raises(HistoryError, match=r"orders\.avro: ") as refused:
        from_files([path])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(str(refused.value)) < 500
    assert peak < 3 * container.MAX_BLOCK_BYTES


@settings(max_examples=examples(150))
@given(st.binary(max_size=60), st.integers(0, 200))
def test_any_bytes(garbage: bytes, at: int) -> None:
    """Any bytes are read or refused; no other error leaves the header, and none but fastavro's the records."""
    for content in (garbage, b"Obj\x01" + garbage, file_of(TEXTS)[:at] + garbage, file_of(TEXTS) + garbage):
        try:
            opened = Container(io.BytesIO(content))
        except (InvalidContainer, UnsafeSchema):
            continue
        try:
            list(opened.records(TEXTS))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - fastavro raises many kinds of errors for invalid records; the tool reports each
            continue
