"""Retention of the send ledger: deletes entries that no command can need any more.

An entry prevents a second delivery while its command may be read again: as long as `email-commands` keeps it, and the broker deletes whole
segments only, up to a week later. Afterwards the entry has no use. The entries are ordered by send id, so the table is read from its first
entry to its last, in slices. The position is stored beside the table.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol

from streams.core.model.versioned_codec import UnknownVersion
from streams.core.values.local_time import utc_from_ms
from streams.mail.delivery.ledger import decode_entry
from streams.runtime.state.store import PartitionStore
from streams.wire.topics import COMMANDS_RETENTION

#: The broker's default for `segment.ms`: how much longer than its retention a record may stay on a topic that is rarely written.
SEGMENT = timedelta(days=7)
#: How long an entry stays: as long as a command can be read, and a week more for clocks that differ and a broker that deletes late.
LEDGER_RETENTION = COMMANDS_RETENTION + SEGMENT + timedelta(days=8)
#: Entries that one batch reads at most: some 20 ms of work.
SLICE = 5_000
#: Milliseconds between two slices. A partition of seven million sends is read once a day.
INTERVAL_MS = 60_000
#: The key of the position, beside the changelog position of the store.
POSITION = b"ledger_retention"


class LedgerBatch(Protocol):
    """The part of a batch that the retention uses."""

    now_ms: int
    values: dict[bytes, Any]

    def put(self, key: bytes, value: Any) -> None:
        """Set the entry under `key`; None deletes it."""

    def put_meta(self, key: bytes, value: bytes) -> None:
        """Set a value that is stored beside the table."""


class LedgerRetention:
    """The retention of one partition of the send ledger.

    Args:
        store: the partition's restored store of sends.
        retention: how long an entry stays after its last change.
        limit: the number of entries that one slice reads at most.
    """

    def __init__(self, store: PartitionStore, retention: timedelta = LEDGER_RETENTION, limit: int = SLICE) -> None:
        self._store = store
        self._retention = retention
        self._limit = limit
        self._position = store.meta(POSITION) or b""
        self._next_ms: int | None = None

    def is_due(self, now_ms: int) -> bool:
        """Return whether it is time for a slice. The first one is due an interval after the first call."""
        if self._next_ms is None:
            self._next_ms = now_ms + INTERVAL_MS
        return now_ms >= self._next_ms

    def read_slice(self, batch: LedgerBatch) -> int:
        """Read the next slice of entries, delete those that are too old, and return their number. Entries that the batch uses stay."""
        oldest = utc_from_ms(batch.now_ms) - self._retention
        position, read, deleted = b"", 0, 0
        for key, raw in self._store.items(self._position or None):
            if read == self._limit:
                position = key
                break
            read += 1
            try:
                is_old = decode_entry(raw).at < oldest
            except UnknownVersion:
                continue  # a newer mailer wrote it and will delete it
            if is_old and key not in batch.values:
                batch.put(key, None)
                deleted += 1
        if read:
            batch.put_meta(POSITION, position)
        self._position = position
        self._next_ms = batch.now_ms + INTERVAL_MS
        return deleted
