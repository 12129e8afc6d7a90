"""Timers on disk: a table whose key is `due in ms (8 bytes, big-endian) ‖ timer id`, so that its order is the order of firing.

A sweep walks from a persisted cursor up to now, in bounded slices: it never scans the tombstones of fired timers and never starves
the loop. A timer that arrives with a due time behind the cursor fires at once. The clock is clamped to be monotonic against the
cursor, so a wall clock that steps back fires nothing twice and holds nothing back longer than the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from streams.runtime import failpoints
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.task import Task

CURSOR = b"cursor"
#: Up to about so many timers are counted when a partition is taken over (some 50 ms); beyond it RocksDB's estimate is good enough.
COUNTED = 50_000
#: Timers fired in one transaction at most: some 70 ms of work, so a batch of new timers never waits long behind a burst.
SLICE = 5000
NEVER = 1 << 62
#: Of the table's keys and values. Version 1 does not say so in its bytes: any other begins its value with `OTHER_VERSION` and its number,
#: which in version 1 would be a key of 65,280 bytes or more.
VERSION = 1
OTHER_VERSION = 0xFF
LONGEST_KEY = (OTHER_VERSION << 8) - 1


def timer_key(due_ms: int, timer_id: bytes) -> bytes:
    """The table key of a timer; `due_ms` is milliseconds since 1970, 0 or later."""
    return due_ms.to_bytes(8, "big") + timer_id


def due_of(key: bytes) -> int:
    """The due time in a table key, in milliseconds since 1970."""
    return int.from_bytes(key[:8], "big")


def pack(key: bytes, value: bytes) -> bytes:
    """A record's key and value as one table value.

    Raises:
        ValueError: the key is longer than `LONGEST_KEY` bytes.
    """
    if len(key) > LONGEST_KEY:
        raise ValueError(f"a key of {len(key)} bytes is too long for a timer")
    return len(key).to_bytes(2, "big") + key + value


def unpack(payload: bytes) -> tuple[bytes, bytes]:
    """The key and value that `pack` was given.

    Raises:
        ValueError: a version that this Takk does not know.
    """
    if payload[0] == OTHER_VERSION:
        raise ValueError(f"timer of version {payload[1]}: written by a newer Takk; upgrade this worker")
    end = 2 + int.from_bytes(payload[:2], "big")
    return payload[2:end], payload[end:]


class Timers:
    """The timers of one task: what was stored, and where the sweep stands."""

    def __init__(self, task: Task, limit: int = SLICE) -> None:
        if task.store is None:
            raise ValueError(f"stage {task.stage.name} keeps timers but has no table")
        self._store = task.store
        self._limit = limit
        raw = task.store.meta(CURSOR)
        self.cursor_ms = int(raw) if raw else 0
        self.pending = self._count()
        self.next_ms = self._first()

    def is_due(self, now_ms: int) -> bool:
        """Whether a stored timer is due."""
        return self.next_ms <= now_ms

    def sweep(
        self, batch: Batch, arrived: Iterable[tuple[int, bytes, bytes]], fire: Callable[[Batch, int, bytes], None]
    ) -> int:
        """Store the timers that arrived, fire those that are due (`limit` at most of the stored ones); return how many were stored.

        Args:
            unit: the unit of work whose transaction carries all of it.
            arrived: (due in ms, timer id, payload) of each timer in the batch.
            fire: called with (unit, due in ms, payload) for each timer that is due.
        """
        now = max(batch.now_ms, self.cursor_ms - 1)
        put = batch.put
        stored = 0
        earliest = NEVER
        for due, timer_id, payload in arrived:
            if due <= now:
                fire(batch, due, payload)
            else:
                put(timer_key(due, timer_id), payload)
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
            self.cursor_ms = cursor
            self.pending = max(0, self.pending - swept)
            batch.put_meta(CURSOR, b"%d" % cursor)
            # The deletions are on disk only after the commit, so the next stored timer is looked for from the cursor on.
            self.next_ms = self._first()
            if self.next_ms == NEVER:
                self.pending = stored  # nothing else is left: an estimate, or a timer stored twice, ends here
        self.next_ms = min(self.next_ms, earliest)
        return stored

    def _count(self) -> int:
        """How many timers are stored: exactly if they are few, when the estimate, which counts deletions too, is far off."""
        estimate = self._store.estimate()
        if estimate > COUNTED:
            return estimate
        return sum(1 for _ in islice(self._store.items(timer_key(self.cursor_ms, b"")), 2 * COUNTED))

    def _first(self) -> int:
        for key, _ in self._store.items(timer_key(self.cursor_ms, b"")):
            return due_of(key)
        return NEVER
