"""Imports of history: a sink that keeps the records, and the import of a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streams.runtime.avro.schemas import load_schemas
from streams.tools.operations.importing.importer import Importer, Outcome, Sink
from streams.tools.operations.importing.mapping import ImportMapping, read_mapping
from streams.tools.operations.importing.records import KINDS, RecordBuilder
from streams.wire.codec import SCHEMAS
from tests.harness.codec import CODEC

RAW = load_schemas(SCHEMAS)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Published:
    """A sink that keeps what it takes, and fails at the record `fails_at`."""

    def __init__(self, fails_at: int = -1) -> None:
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.ids: list[str] = []
        self.fails_at = fails_at

    def send(self, topic: str, key: bytes, value: bytes, record_id: str) -> None:
        if len(self.records) == self.fails_at:
            raise TimeoutError("the broker is away")
        schema = next(kind.schema for kind in KINDS.values() if kind.topic == topic)
        record = CODEC.decode(schema, value)
        assert key.decode() == record[next(kind.key for kind in KINDS.values() if kind.topic == topic)]
        self.records.append((topic, record))
        self.ids.append(record_id)

    def flush(self) -> None:
        """Nothing waits."""


def builder_of(kind: str, mapping: Path | None = None, guest_key: bytes = b"") -> RecordBuilder:
    """Return a builder for a kind of rows."""
    builder = RecordBuilder(kind, RAW[KINDS[kind].schema], ImportMapping(), "DKK", CODEC, NOW, guest_key)
    if mapping is None:
        return builder
    return builder.with_mapping(read_mapping(mapping, builder.fields, builder.line_fields, builder.maps))


def run_import(
    path: Path,
    kind: str,
    sink: Sink,
    mapping: Path | None = None,
    *,
    restart: bool = False,
    is_dry_run: bool = False,
    guest_key: bytes = b"",
) -> Outcome:
    """Import a file."""
    text = mapping.read_text() if mapping is not None else ""
    return Importer(path, builder_of(kind, mapping, guest_key), sink, mapping_text=text, is_dry_run=is_dry_run).run(
        restart=restart
    )
