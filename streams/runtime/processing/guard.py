"""The guard of a record: all that one record causes takes effect, or the record becomes a dead letter and nothing else.

That is its decoding and its handler, the encoding and the size of the new state, and the size of its outputs. The limits of the topics are
checked before anything is produced: what is produced can only be taken back by aborting the transaction of the whole batch.

The state is encoded in the guard, once per record that changes it, and the commit reuses the bytes of the newest. To encode only once per key
at the commit would be cheaper for a key with many records in a batch. A failure there could no longer be traced to its record, and its
outputs would already be produced. Encoding a state costs a small part of deciding on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from streams.runtime.errors import InvalidRecord, Misrouted, RegistryUnavailable, StateError, TooManyFailures
from streams.runtime.isolation.crashes import Crashes
from streams.runtime.isolation.note import CrashNote, Place
from streams.runtime.kafka.limits import DEFAULT_TOPIC_BYTES, SMALL_BYTES
from streams.runtime.kafka.producer_record import Headers, ProducerRecord, headers_of, size_of

if TYPE_CHECKING:
    from streams.runtime.processing.batch import Batch

T = TypeVar("T")

#: Failures in a row after which the worker stops. Then the code is wrong rather than the records, and to move every customer's records to
#: the dead letters would do more harm.
MAX_FAILURES_IN_A_ROW = 100


class Changes:
    """The changes that one record makes to the table, over those of its batch. They become part of the batch if the record is accepted."""

    def __init__(self, batch: Batch[Any]) -> None:
        self._batch = batch
        self.values: dict[bytes, Any] = {}

    def get(self, key: bytes) -> Any:
        """Return the value under `key`, or None. The record's own changes are included."""
        return self.values[key] if key in self.values else self._batch.get(key)

    def put(self, key: bytes, value: Any) -> None:
        """Set the value under `key`; None deletes it."""
        self.values[key] = value


class Guard:
    """Processes the records of one batch, each on its own.

    Args:
        batch: the batch.
    """

    def __init__(self, batch: Batch[Any]) -> None:
        self._batch = batch
        self._task = batch.task
        self._stage = batch.task.stage
        self._now_ms = batch.now_ms

    def apply(self, handler: Callable[[Any, Batch[Any]], tuple[bytes | None, Any, Sequence[ProducerRecord]]]) -> None:
        """Process every record with `handler`: see `Batch.apply`."""
        batch, task, encode = self._batch, self._task, self._stage.encode
        values, changed, changelog, send = batch.values, batch.changed, self._stage.changelog, batch.send
        with self._computing():
            for record in self._noted():
                try:
                    key, value, outputs = handler(record, batch)
                    raw = None if key is None or value is None else encode(value)
                    if raw is not None and len(raw) > SMALL_BYTES:
                        self._check(changelog, key, raw, None)
                    for output in outputs:
                        if (body := output[2]) is not None and len(body) > SMALL_BYTES:
                            self._check(*output)
                except Exception as error:  # noqa: BLE001 - not swallowed: `_reject` makes it a dead letter, or raises
                    self._reject(record, error)
                    continue
                task.failures_in_a_row = 0
                if key is not None:
                    values[key] = value
                    changed[key] = raw
                for topic, output_key, body, headers in outputs:
                    send(topic, output_key, body, headers)

    def apply_changes(self, handler: Callable[[Any, Changes], Sequence[ProducerRecord]]) -> None:
        """Process every record with `handler`: see `Batch.apply_changes`."""
        batch, task, encode = self._batch, self._task, self._stage.encode
        with self._computing():
            for record in self._noted():
                try:
                    changes = Changes(batch)
                    outputs = handler(record, changes)
                    encoded = {key: None if value is None else encode(value) for key, value in changes.values.items()}
                    for key, raw in encoded.items():
                        self._check(self._stage.changelog, key, raw, None)
                    for output in outputs:
                        self._check(*output)
                except Exception as error:  # noqa: BLE001 - not swallowed: `_reject` makes it a dead letter, or raises
                    self._reject(record, error)
                    continue
                task.failures_in_a_row = 0
                batch.values.update(changes.values)
                batch.changed.update(encoded)
                for output in outputs:
                    batch.send(*output)

    def decode(self, parse: Callable[[Any], T]) -> Iterator[T]:
        """Yield `parse(record)` for every record: see `Batch.decode`."""
        task = self._task
        with self._computing():
            for record in self._noted():
                try:
                    result = parse(record)
                except Exception as error:  # noqa: BLE001 - not swallowed: `_reject` makes it a dead letter, or raises
                    self._reject(record, error)
                    continue
                task.failures_in_a_row = 0
                yield result

    def _noted(self) -> Iterator[Any] | Sequence[Any]:
        """Note that the records of the batch are being computed, and return them: without those of them that ended the process twice."""
        batch, note, crashes = self._batch, self._task.note, self._task.crashes
        if note is None or not batch.records:
            return batch.records
        note.begin(batch.offsets)
        if crashes is None:
            return batch.records
        self._task.crashes = crashes.after(batch.offsets)
        return self._noted_singly(note, crashes) if crashes.covers(batch.records) else batch.records

    def _noted_singly(self, note: CrashNote, crashes: Crashes) -> Iterator[Any]:
        for record in self._batch.records:
            place = Place(record.topic(), record.offset())
            if place == crashes.condemned:
                detail = f"the process ended {crashes.suspect_count} times while it handled this record"
                self._batch.send(*self._stage.dead_letter(record, "crashed", detail, self._now_ms))
                continue
            note.at(*place)
            yield record

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Clear the note at the end, and after an exception too: then the process ends for a reason that it knows."""
        try:
            yield
        except Exception:
            self._clear_note()
            raise
        self._clear_note()

    def _clear_note(self) -> None:
        if self._task.note is not None:
            self._task.note.clear()

    def _check(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers | None) -> None:
        """Raise InvalidRecord (`too_large`) if the topic may not accept a record."""
        limit = self._stage.limits.get(topic, DEFAULT_TOPIC_BYTES)
        if (size := size_of(key, value, headers)) > limit:
            raise InvalidRecord("too_large", f"a record of {size:,} bytes for {topic}, which accepts {limit:,}")

    def _reject(self, record: Any, error: Exception) -> None:
        """Publish a record that was not accepted under its right key, or as a dead letter."""
        task, stage = self._task, self._stage
        if isinstance(error, (RegistryUnavailable, StateError, stage.is_too_new)):
            raise error  # the record may be valid
        if isinstance(error, Misrouted):
            # Unreadable headers are left behind: the record is processed without them.
            again: Any = (record.topic(), error.key, record.value(), headers_of(record) or [])
            try:
                self._check(*again)
            except InvalidRecord as too_large:
                error = too_large
            else:
                stage.on_misrouted(record)
                self._batch.send(*again)
                return
        if isinstance(error, InvalidRecord):
            self._batch.send(*stage.dead_letter(record, error.reason, error.detail, self._now_ms))
            return
        task.failures_in_a_row += 1
        stage.on_failure(record, error)
        if task.failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            raise TooManyFailures(
                f"{stage.name} failed for {MAX_FAILURES_IN_A_ROW} records in a row on partition {task.partition}; "
                f"the last error is {type(error).__name__}. Nothing is lost: fix the flows or the code, then start the worker again."
            ) from error
        self._batch.send(*stage.dead_letter(record, "failed", type(error).__name__, self._now_ms))
