"""Walks: passes over the keys of a table, in bounded slices at a settable rate, that visit each key once.

The position of a walk is an entry of the table itself, written in the transaction that has the outputs of its slice. So a process that ends
at any moment neither repeats nor skips a visit: the next owner of the partition continues after the last committed slice.

The entries are behind all other keys of the table: no UTF-8 text begins with the byte 0xFF. Older versions never read such keys.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from itertools import islice
from typing import Any

import msgspec

from streams.runtime import failpoints
from streams.runtime.processing.batch import Batch
from streams.runtime.state.store import PartitionStore

#: The first byte of all keys of the table that are not customers or the like. A walk ends before it, unless it has another end.
RESERVED = b"\xff"
#: The beginning of the table's keys of walks.
PREFIX = RESERVED + b"walk/"
_PREFIX_END = RESERVED + b"walk0"
#: Keys that one slice visits at most: some 50 ms of work.
MAX_SLICE = 500
#: Slices per second, unless they would exceed `MAX_SLICE`. Each is a transaction of its own if the partition has nothing to read.
SLICES_PER_S = 5
#: The part of a slice that a batch with records of its own visits: records that arrive come first.
BUSY_SHARE = 4

#: Called with the batch, the payload of the walk, and the key and the stored value of one entry.
Visit = Callable[[Batch[Any], bytes, bytes, bytes], None]


class Walk(msgspec.Struct, array_like=True):
    """One walk, as it is stored.

    Attributes:
        position: the next key to visit.
        upper: the key before which the walk ends.
        payload: what the visits need to know.
        visited: the number of keys so far.
        is_kept: whether the walk is kept when it has ended, so that one with its name never starts again.
        ended_ms: when it ended, in milliseconds since 1970; 0 while it runs.
    """

    position: bytes
    upper: bytes
    payload: bytes = b""
    visited: int = 0
    is_kept: bool = False
    ended_ms: int = 0


_decode = msgspec.msgpack.Decoder(Walk).decode
_encode = msgspec.msgpack.Encoder().encode


class Walks:
    """The walks of one partition.

    Args:
        store: the partition's restored store.
        rate: the keys that all walks of the partition visit per second, at most.
        is_own: whether this process may continue the walk with a name. Others wait for a process that knows them.
    """

    def __init__(self, store: PartitionStore, rate: int, is_own: Callable[[str], bool] = lambda name: True) -> None:
        self._store = store
        self._slice = max(1, min(MAX_SLICE, rate // SLICES_PER_S))
        self._interval_ms = max(1, 1000 * self._slice // rate)
        self._all = {key[len(PREFIX) :].decode(): _decode(value) for key, value in store.items(PREFIX, _PREFIX_END)}
        self._running = [name for name, walk in self._all.items() if not walk.ended_ms and is_own(name)]
        self._last_ms = 0

    def __contains__(self, name: str) -> bool:
        """Return whether a walk runs, or has ended and is kept."""
        return name in self._all

    @property
    def running(self) -> tuple[str, ...]:
        """The names of the walks that run."""
        return tuple(self._running)

    @property
    def left(self) -> int:
        """The number of keys that the running walks over the whole table have still to visit, estimated."""
        whole = [walk for name in self._running if (walk := self._all[name]).upper == RESERVED]
        estimate = self._store.estimate() if whole else 0
        return sum(max(0, estimate - walk.visited) for walk in whole)

    def is_due(self, now_ms: int) -> bool:
        """Return whether the next slice of a walk is due. Cheap: it is called often."""
        # A clock that steps back must not stop the walks until it has caught up.
        return bool(self._running) and not 0 <= now_ms - self._last_ms < self._interval_ms

    def start(
        self,
        batch: Batch[Any],
        name: str,
        *,
        lower: bytes = b"",
        upper: bytes = RESERVED,
        payload: bytes = b"",
        is_kept: bool = False,
    ) -> bool:
        """Start a walk over the keys from `lower` until before `upper`, by default over all that are not reserved.

        It starts with the batch: if the batch is not committed, it never did. Keys that are added behind the position of a walk are visited too.

        Args:
            batch: the present batch.
            name: the identity of the walk.
            lower, upper: the range of keys.
            payload: given to each visit.
            is_kept: whether no walk with this name may ever start again. If not, a running one goes on, and an ended one is forgotten.

        Returns:
            False if the walk runs already, or is kept.
        """
        if name in self._all:
            return False
        self._put(batch, name, Walk(lower, upper, payload, is_kept=is_kept))
        self._running.append(name)
        return True

    def end(self, batch: Batch[Any], name: str) -> None:
        """End a running walk early, in the same way as at its last key."""
        walk = self._all[name]
        self._running.remove(name)
        walk.ended_ms = max(1, batch.now_ms)
        self._put(batch, name, walk if walk.is_kept else None)

    def forget(self, batch: Batch[Any], before_ms: int, needed: Container[str] = ()) -> None:
        """Forget the kept walks that ended before `before_ms`, in milliseconds since 1970, except those that are `needed`."""
        for name in [n for n, walk in self._all.items() if 0 < walk.ended_ms < before_ms and n not in needed]:
            self._put(batch, name, None)

    def step(self, batch: Batch[Any], visit: Visit) -> int:
        """Visit the next keys of one walk, if a slice is due, and return their number. Several walks take turns.

        Call it before the records of the batch: it visits what was stored before them. The entries of keys that the batch has changed already
        are visited with their older values.
        """
        if not self.is_due(batch.now_ms):
            return 0
        self._last_ms = batch.now_ms
        name = self._running[0]
        walk = self._all[name]
        limit = max(1, self._slice // BUSY_SHARE) if batch.records else self._slice
        count = 0
        for key, value in self._slice_of(walk, limit):
            visit(batch, walk.payload, key, value)
            walk.position = key + b"\0"
            count += 1
        walk.visited += count
        failpoints.reach("walks.visited")
        if count < limit:
            self.end(batch, name)
        else:
            self._running.append(self._running.pop(0))
            self._put(batch, name, walk)
        return count

    def _slice_of(self, walk: Walk, limit: int) -> Iterator[tuple[bytes, bytes]]:
        return islice(self._store.items(walk.position, walk.upper), limit)

    def _put(self, batch: Batch[Any], name: str, walk: Walk | None) -> None:
        if walk is None:
            del self._all[name]
        else:
            self._all[name] = walk
        batch.put_encoded(PREFIX + name.encode(), None if walk is None else _encode(walk))
