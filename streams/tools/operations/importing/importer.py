"""Publish the rows of a file, from where an earlier run stopped.

Every record has the same id and the same values in each run, and duplicates are harmless: so a row that is published twice counts once.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TextIO

from streams.core.values.ids import digest
from streams.core.values.local_time import text_of
from streams.tools.operations.importing.fields import RowInvalid
from streams.tools.operations.importing.records import RecordBuilder
from streams.tools.operations.importing.rows import ImportFailed, Row, read_rows

#: Records between two notes of the progress. All before a note are acknowledged by the broker.
CHECKPOINT_RECORDS = 5_000
#: Rows of one order: more are several orders.
_MAX_GROUP = 1_000
_HEAD_BYTES = 1 << 20


class Sink(Protocol):
    """Takes records."""

    def send(self, topic: str, key: bytes, value: bytes, record_id: str) -> None:
        """Take a record."""

    def flush(self) -> None:
        """Wait until all records are acknowledged."""


class NoSink:
    """Takes the records of a dry run, and drops them."""

    def send(self, topic: str, key: bytes, value: bytes, record_id: str) -> None:
        """Drop the record."""

    def flush(self) -> None:
        """Do nothing."""


@dataclass
class Progress:
    """How far the import of a file is, as its state file has it.

    Attributes:
        fingerprint: of the file, the kind and the mapping. Another file of the same name starts again.
        rows: rows that are done.
        records: records that were published.
        invalid: invalid rows.
        error_bytes: the length of the file of errors.
        is_done: whether all rows are done.
    """

    fingerprint: str
    rows: int = 0
    records: int = 0
    invalid: int = 0
    error_bytes: int = 0
    is_done: bool = False


@dataclass
class Outcome:
    """The result of an import.

    Attributes:
        progress: the counts of all runs.
        reasons: invalid rows of this run, by reason.
        resumed_at: the rows that an earlier run had done.
        unused: columns that no field has.
        oldest, newest: the times of the oldest and of the newest event of this run.
    """

    progress: Progress
    reasons: Counter[str] = field(default_factory=Counter)
    resumed_at: int = 0
    unused: tuple[str, ...] = ()
    oldest: datetime | None = None
    newest: datetime | None = None


class Importer:
    """The import of one file.

    Args:
        path: the file.
        builder: makes records of its rows.
        sink: takes the records.
        encoding: the encoding of a text file.
        is_dry_run: whether nothing is published: then no progress is kept either.
        mapping_text: the text of the mapping file, so that a changed mapping starts again.
        on_progress: called with the bytes read so far and the size of the file.
    """

    def __init__(
        self,
        path: Path,
        builder: RecordBuilder,
        sink: Sink,
        *,
        encoding: str = "utf-8-sig",
        is_dry_run: bool = False,
        mapping_text: str = "",
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.path, self.builder, self.sink = path, builder, sink
        self.encoding, self.is_dry_run, self.on_progress = encoding, is_dry_run, on_progress
        self.errors_path = path.with_name(path.name + ".errors.jsonl")
        self.state_path = path.with_name(path.name + ".import.json")
        self._mapping_text = mapping_text
        self._columns: set[str] = set()

    def run(self, *, restart: bool = False) -> Outcome:
        """Publish the rows that are not done, and return what happened. `restart` publishes all again.

        Raises:
            ImportFailed: the file cannot be read.
            KafkaException, TimeoutError: a record was not accepted. The next run continues at the last note.
        """
        progress = self._stored(restart)
        outcome = Outcome(progress, resumed_at=progress.rows)
        if progress.is_done:
            return outcome
        size, noted = self._size(), progress.records
        with self._errors(progress.error_bytes) as errors:
            for group in self._groups(progress.rows):
                self._handle(group, outcome, errors)
                progress.rows = group[-1].number
                self.on_progress(group[-1].bytes_read, size)
                if progress.records - noted >= CHECKPOINT_RECORDS:
                    noted = progress.records
                    self._note(progress, errors)
            progress.is_done = True
            self._note(progress, errors)
        if not progress.error_bytes:
            self.errors_path.unlink(missing_ok=True)
        known = {*self.builder.fields, *[name.removesuffix("_minor") for name in self.builder.fields]}
        known |= {column for column in self._columns if column.partition(".")[0] in self.builder.maps}
        outcome.unused = tuple(sorted(self._columns - known - self.builder.mapped_columns))
        return outcome

    def _groups(self, done: int) -> Iterator[list[Row]]:
        """Yield the rows after the first `done`, those of one order together."""
        group: list[Row] = []
        order = ""
        for row in read_rows(self.path, self.encoding):
            if row.number <= done:
                continue
            present = self.builder.order_of(row.values) if isinstance(row.values, Mapping) else ""
            if group and (not present or present != order or len(group) >= _MAX_GROUP):
                yield group
                group = []
            group.append(row)
            order = present
        if group:
            yield group

    def _handle(self, group: list[Row], outcome: Outcome, errors: TextIO) -> None:
        progress = outcome.progress
        try:
            values = []
            for row in group:
                if isinstance(row.values, str):
                    raise RowInvalid("not_a_row", row.values)
                values.append(row.values)
                self._columns.update(row.values)
            for record, encoded in self.builder.records(values):
                self._publish(record, encoded, outcome)
        except RowInvalid as error:
            progress.invalid += 1
            outcome.reasons[error.reason] += 1
            line = {"row": group[0].number, "reason": error.reason, "detail": error.detail, "values": group[0].values}
            errors.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")

    def _publish(self, record: Mapping[str, Any], encoded: bytes, outcome: Outcome) -> None:
        kind = self.builder.kind
        at = record.get("occurred_at") or record["updated_at"]
        record_id = digest(
            "import",
            kind.topic,
            record[kind.key],
            str(record.get("order_id", "")),
            str(record.get("parcel_id", "")),
            str(record.get(kind.event, "")),
            text_of(at),
        )
        self.sink.send(kind.topic, record[kind.key].encode(), encoded, record_id)
        outcome.progress.records += 1
        outcome.oldest = min(outcome.oldest or at, at)
        outcome.newest = max(outcome.newest or at, at)

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError as error:
            raise ImportFailed(f"cannot read {self.path}: {error.strerror}") from error

    def _fingerprint(self) -> str:
        size = self._size()
        try:
            with self.path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
        except OSError as error:
            raise ImportFailed(f"cannot read {self.path}: {error.strerror}") from error
        parts = f"{size} {self.builder.kind.topic} {self.encoding}\n{self._mapping_text}\n".encode()
        return hashlib.sha256(parts + head).hexdigest()

    def _stored(self, restart: bool) -> Progress:
        """Return the progress of the last run, or a new one."""
        new = Progress(self._fingerprint())
        if self.is_dry_run or restart:
            return new
        try:
            stored = Progress(**json.loads(self.state_path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return new
        except (ValueError, TypeError, OSError) as error:
            raise ImportFailed(f"cannot read {self.state_path}: {error} (hint: delete it, or use --restart)") from error
        return stored if stored.fingerprint == new.fingerprint else new

    def _errors(self, length: int) -> TextIO:
        """Open the file of errors behind what the last note covers. It has rows of customers, so only its owner may read it."""
        try:
            descriptor = os.open(self.errors_path, os.O_RDWR | os.O_CREAT, 0o600)
            os.ftruncate(descriptor, length)
            os.lseek(descriptor, 0, os.SEEK_END)
            return os.fdopen(descriptor, "w", encoding="utf-8")
        except OSError as error:
            raise ImportFailed(f"cannot write {self.errors_path}: {error.strerror}") from error

    def _note(self, progress: Progress, errors: TextIO) -> None:
        """Wait for the acknowledgements, then store the progress."""
        self.sink.flush()
        errors.flush()
        progress.error_bytes = os.fstat(errors.fileno()).st_size
        if self.is_dry_run:
            return
        draft = self.state_path.with_name(self.state_path.name + ".tmp")
        try:
            draft.write_text(json.dumps(progress.__dict__), encoding="utf-8")
            draft.replace(self.state_path)
        except OSError as error:
            raise ImportFailed(f"cannot write {self.state_path}: {error.strerror}") from error
