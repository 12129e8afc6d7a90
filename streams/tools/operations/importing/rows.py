"""The rows of a file: CSV with a header, JSON Lines, or an Avro container file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from streams.runtime.avro.container import Container, InvalidContainer
from streams.runtime.avro.safety import UnsafeSchema

#: Separators of CSV files. The one that the header contains most often is taken.
_SEPARATORS = (",", ";", "\t", "|")
#: Characters of one cell.
_MAX_CELL = 1 << 20


class ImportFailed(ValueError):
    """A file that cannot be used. The message names the file, the reason and what to do."""


class Row(NamedTuple):
    """A row of a file.

    Attributes:
        number: its number, the first is 1. The header of a CSV file is not a row.
        values: its values by column; a text with the reason why they are missing.
        bytes_read: bytes of the file that are read so far.
    """

    number: int
    values: Mapping[str, Any] | str
    bytes_read: int


def read_rows(path: Path, encoding: str = "utf-8-sig") -> Iterator[Row]:
    """Yield the rows of a file. The end of its name says the format: .csv or .tsv, .jsonl or .ndjson, .avro.

    Raises:
        ImportFailed: the file cannot be read, or its format is unknown or damaged.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise ImportFailed(f"{path}: unknown format {path.suffix or path.name!r} (hint: name the file {known})")
    try:
        with path.open("rb") as file:
            yield from reader(file, path, encoding)
    except OSError as error:
        raise ImportFailed(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ImportFailed(
            f"{path}: byte {error.object[error.start]:#x} is not valid {encoding} (hint: name the encoding, for example --encoding cp1252)"
        ) from error
    except csv.Error as error:
        raise ImportFailed(f"{path}: not a valid CSV file: {error}") from error


class _Lines:
    """The decoded lines of a file, and the bytes read so far."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self.bytes_read = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            encoding = self._encoding
            if self.bytes_read and encoding == "utf-8-sig":
                encoding = "utf-8"  # only the first line may start with a mark
            self.bytes_read += len(line)
            yield line.decode(encoding)


def _csv(file: BinaryIO, path: Path, encoding: str) -> Iterator[Row]:
    csv.field_size_limit(_MAX_CELL)
    lines = _Lines(file, encoding)
    texts = iter(lines)
    header = next(texts, "")
    separator = max(_SEPARATORS, key=header.count)
    columns = next(csv.reader([header], delimiter=separator), [])
    if not any(columns):
        raise ImportFailed(f"{path}: the first line has no column names")
    columns = [column.strip() for column in columns]
    if len(set(columns)) != len(columns):
        twice = sorted({column for column in columns if columns.count(column) > 1})
        raise ImportFailed(f"{path}: duplicate column {twice[0]!r}")
    number = 0
    for cells in csv.reader(texts, delimiter=separator):
        if not any(cells):
            continue
        number += 1
        if len(cells) > len(columns):
            yield Row(number, f"{len(cells)} cells for {len(columns)} columns", lines.bytes_read)
        else:
            yield Row(number, dict(zip(columns, cells, strict=False)), lines.bytes_read)


def _json_lines(file: BinaryIO, path: Path, encoding: str) -> Iterator[Row]:
    lines = _Lines(file, encoding)
    number = 0
    for text in lines:
        if not text.strip():
            continue
        number += 1
        try:
            # Amounts stay exact: a decimal number becomes a text.
            values = json.loads(text, parse_float=str)
        except (ValueError, RecursionError):
            values = None
        yield Row(number, values if isinstance(values, dict) else "not a JSON object", lines.bytes_read)


def _avro(file: BinaryIO, path: Path, encoding: str) -> Iterator[Row]:
    try:
        container = Container(file)
        for number, record in enumerate(container.records(container.schema), 1):
            yield Row(number, record if isinstance(record, dict) else "not a record", file.tell())
    except (InvalidContainer, UnsafeSchema) as error:
        raise ImportFailed(f"{path}: not a readable Avro container file: {error}. Is the file complete?") from error
    except (OSError, UnicodeDecodeError):
        raise
    except Exception as error:  # fastavro raises many kinds of errors for invalid bytes
        raise ImportFailed(f"{path}: not a readable Avro container file ({type(error).__name__})") from error


_READERS: dict[str, Callable[[BinaryIO, Path, str], Iterator[Row]]] = {
    ".csv": _csv, ".tsv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines, ".avro": _avro
}  # fmt: skip
