"""Timers on disk: a table whose keys are `due time in ms (8 bytes, big-endian) ‖ timer id`, so that key order is firing order.

A sweep reads from a stored cursor up to now, in bounded slices. It never scans the tombstones of fired timers, and never blocks the event
loop for long. The cursor is only a hint that no timer is stored before it. Whether a timer is due depends on the present time alone, so a
clock that was wrong for a moment has no effect on later timers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from streams.runtime import failpoints
from streams.runtime.errors import TimerTooNew
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.cancellations import PREFIX, Cancellations
from streams.runtime.state.store import PartitionStore

CURSOR = b"cursor"
#: Up to about this many timers are counted exactly when a partition is taken over (some 50 ms). Above it RocksDB's estimate is used.
MAX_COUNTED = 50_000
#: The number of timers that one transaction fires at most: some 70 ms of work, so that new timers never wait long behind a burst.
MAX_FIRED_PER_SWEEP = 5000
#: A due time after all others, in ms. A timer that arrives with it cancels all timers of the record key that is its payload.
NEVER = 1 << 62
#: The version of the table's keys and values. Version 1 does not store its number. Any other version starts its value with `OTHER_VERSION`
#: and its number, which in version 1 would mean a key of 65,280 bytes or more.
VERSION = 1
OTHER_VERSION = 0xFF
MAX_KEY_BYTES = (OTHER_VERSION << 8) - 1


def timer_key(due_ms: int, timer_id: bytes) -> bytes:
    """Return the table key of a timer that is due at `due_ms`, in milliseconds since 1970 (0 or more)."""
    return due_ms.to_bytes(8, "big") + timer_id


def due_of(key: bytes) -> int:
    """Return the due time of a table key, in milliseconds since 1970."""
    return int.from_bytes(key[:8], "big")


def pack(key: bytes, value: bytes) -> bytes:
    """Return a record's key and value as one table value.

    Raises:
        ValueError: `key` is longer than `MAX_KEY_BYTES` bytes.
    """
    if len(key) > MAX_KEY_BYTES:
        raise ValueError(f"timer key too long: {len(key)} bytes (at most {MAX_KEY_BYTES})")
    return len(key).to_bytes(2, "big") + key + value


def unpack(payload: bytes) -> tuple[bytes, bytes]:
    """Return the key and value in a table value made by `pack`.

    Raises:
        TimerTooNew: the value has a version that this Takk does not support.
    """
    if payload[0] == OTHER_VERSION:
        raise TimerTooNew(
            f"timer of version {payload[1]}: this program reads versions up to {VERSION} "
            "(hint: it was written by a newer Takk; upgrade this process)"
        )
    end = 2 + int.from_bytes(payload[:2], "big")
    return payload[2:end], payload[end:]


class Timers:
    """The stored timers of one partition, and the cursor of their sweep.

    Args:
        store: the partition's restored store.
        limit: the number of stored timers that one sweep fires at most.

    Attributes:
        cursor_ms: no timer is stored that is due before this time, in milliseconds since 1970.
        pending: the number of stored timers, estimated if they are many.
        next_ms: the due time of the next stored timer, or `NEVER`.
    """

    def __init__(self, store: PartitionStore, limit: int = MAX_FIRED_PER_SWEEP) -> None:
        self._store = store
        self._limit = limit
        self._cancellations = Cancellations(store)
        raw = store.meta(CURSOR)
        self.cursor_ms = int(raw) if raw else 0
        # The cursor is not in the changelog. A restored timer may be due before it, since another worker stored the timer, or this one did
        # and died before it wrote to its disk. Such a timer is searched once per takeover, across the tombstones.
        for key, _ in store.items(None, timer_key(self.cursor_ms, b"")):
            self.cursor_ms = due_of(key)
            break
        self.pending = self._count()
        self.next_ms = self._first()

    def is_due(self, now_ms: int) -> bool:
        """Return whether a stored timer is due, or timers are still to be cancelled."""
        return self.next_ms <= now_ms or bool(self._cancellations)

    def sweep(
        self,
        batch: Batch[Timers],
        arrived: Iterable[tuple[int, bytes, bytes]],
        fire: Callable[[Batch[Timers], int, bytes], None],
    ) -> int:
        """Store new timers, fire the timers that are due, and return the number of newly stored timers.

        Args:
            batch: the batch whose transaction contains all changes and outputs.
            arrived: (due time in ms, timer id, payload) of each new timer; (`NEVER`, b"", record key) of each cancellation.
            fire: called with (batch, due time in ms, payload) for each timer that is due.
        """
        now, put, cancellations = batch.now_ms, batch.put, self._cancellations
        stored = cancelled = 0
        earliest = NEVER
        for due, timer_id, payload in arrived:
            if due <= now:
                fire(batch, due, payload)
            elif due == NEVER:
                cancelled += cancellations.add(batch, payload)
            else:
                put(timer_key(due, timer_id), payload)
                if cancellations:
                    cancellations.keep(batch, timer_key(due, timer_id), payload)
                stored += 1
                if due < earliest:
                    earliest = due
        self.pending += stored
        swept = 0
        if self.next_ms <= now:
            cursor = now + 1
            for key, payload in self._store.items(timer_key(self.cursor_ms, b""), timer_key(now + 1, b"")):
                if swept == self._limit:
                    cursor = due_of(key)
                    break
                fire(batch, due_of(key), payload)
                put(key, None)
                swept += 1
            failpoints.reach("timers.fired")
            self._move(batch, cursor)
            self.pending = max(0, self.pending - swept)
            # The deletions reach the disk only with the commit, so the next timer is searched from the cursor on.
            self.next_ms = self._first()
            if self.next_ms == NEVER:
                # Nothing else is stored, so correct an estimate, or a timer that was counted twice.
                self.pending = stored
        cancelled += cancellations.read_slice(batch)
        self.pending = max(0, self.pending - cancelled)
        if earliest < self.cursor_ms:  # the clock was ahead when the cursor was set
            self._move(batch, earliest)
        self.next_ms = min(self.next_ms, earliest)
        return stored

    def _move(self, batch: Batch[Timers], cursor_ms: int) -> None:
        self.cursor_ms = cursor_ms
        batch.put_meta(CURSOR, b"%d" % cursor_ms)

    def _count(self) -> int:
        """Return the number of stored timers: exact if they are few, since the estimate then counts too many tombstones."""
        estimate = self._store.estimate()
        if estimate > MAX_COUNTED:
            return estimate
        return sum(1 for _ in islice(self._store.items(timer_key(self.cursor_ms, b""), PREFIX), 2 * MAX_COUNTED))

    def _first(self) -> int:
        for key, _ in self._store.items(timer_key(self.cursor_ms, b""), PREFIX):
            return due_of(key)
        return NEVER
