"""The events of a file's rows, in memory: what a simulation reads from the files that `takk import` takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from streams.core.model.events import Event
from streams.runtime.avro.schemas import load_schemas
from streams.settings import Settings
from streams.tools.operations.importing.importer import Importer
from streams.tools.operations.importing.mapping import ImportMapping, read_mapping
from streams.tools.operations.importing.records import ROW_KINDS, RecordBuilder
from streams.tools.operations.importing.rows import ImportFailed
from streams.wire.codec import open_codec
from streams.wire.decode.decoder import Decoder

#: The ends of the names of files with rows. Avro files are read without a mapping.
ROW_FILES = (".csv", ".tsv", ".jsonl", ".ndjson")


class _Events:
    """Takes records, and keeps their events."""

    def __init__(self, decoder: Decoder) -> None:
        self.events: list[Event] = []
        self._decoder = decoder

    def send(self, topic: str, key: bytes, value: bytes, record_id: str) -> None:
        """Keep the event of a record."""
        self.events.append(self._decoder.event(topic, key, value, 0))

    def flush(self) -> None:
        """Do nothing."""


def kind_of(path: Path) -> str:
    """Return the kind of rows that the name of a file begins with, such as `orders` of `orders-2026.csv`.

    Raises:
        ImportFailed: it begins with no kind.
    """
    kind = next((kind for kind in ROW_KINDS if path.name.lower().startswith(kind)), "")
    if not kind:
        hint = f"name it orders.csv, or write for example orders={path}; kinds: {', '.join(ROW_KINDS)}"
        raise ImportFailed(f"{path}: the kind of the rows is unknown (hint: {hint})")
    return kind


def read_events(
    settings: Settings,
    path: Path,
    kind: str,
    mapping_file: Path | None,
    on_progress: Callable[[int, int], None],
) -> tuple[list[Event], Counter[str]]:
    """Return the events of the rows of a file, and its invalid rows by reason. Invalid rows are also written beside the file.

    Args:
        settings: the currency of the shop, and the directory of the schemas.
        path: the file.
        kind: the kind of its rows, a name in `ROW_KINDS`.
        mapping_file: says which column is which field.
        on_progress: called with the bytes read so far and the size of the file.

    Raises:
        ImportFailed: a file cannot be read, or the kind is unknown.
    """
    if kind not in ROW_KINDS:
        raise ImportFailed(f"unknown kind of rows {kind!r} (hint: {', '.join(ROW_KINDS)})")
    codec = open_codec(schemas=settings.schemas_dir)
    schema = load_schemas(settings.schemas_dir)[ROW_KINDS[kind].schema]
    builder = RecordBuilder(
        kind,
        schema,
        ImportMapping(),
        settings.shop_currency,
        codec,
        datetime.now(UTC),
        settings.guest_key,
        is_past=False,
    )
    if mapping_file is not None:
        builder = builder.with_mapping(read_mapping(mapping_file, builder.fields, builder.line_fields, builder.maps))
    sink = _Events(Decoder(codec))
    outcome = Importer(path, builder, sink, is_dry_run=True, on_progress=on_progress).run()
    return sink.events, outcome.reasons
