"""Cancellations of timers: each deletes all timers of one key that were stored before it.

The table of timers is ordered by due time, so the timers of a key are found by reading all of it. That is done in bounded slices, for all
pending keys at once. The pending keys, and how far the table was read for each, are stored beside the timers.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from streams.runtime.state.store import PartitionStore

#: Timers that one batch reads at most: some 50 ms of work.
SLICE = 20_000
#: First bytes of the table's keys of pending cancellations: behind every due time. An older version ignores these entries.
PREFIX = b"\xff" * 8


class _Pending(msgspec.Struct, array_like=True):
    """A pending cancellation: the table is read up to the key `position`. The timers in `kept` were stored after the cancellation."""

    position: bytes = b""
    kept: list[bytes] = []


_decode = msgspec.msgpack.Decoder(_Pending).decode
_encode = msgspec.msgpack.Encoder().encode


class Table(Protocol):
    """The part of a batch that a cancellation uses."""

    values: dict[bytes, Any]

    def put(self, key: bytes, value: Any) -> None:
        """Set the value under `key`; None deletes it."""


class Cancellations:
    """The pending cancellations of one partition.

    Args:
        store: the partition's restored store of timers.
        limit: the number of timers that one slice reads at most.
    """

    def __init__(self, store: PartitionStore, limit: int = SLICE) -> None:
        self._store = store
        self._limit = limit
        self._pending = {key[len(PREFIX) :]: _decode(value) for key, value in store.items(PREFIX)}

    def __bool__(self) -> bool:
        return bool(self._pending)

    def add(self, batch: Table, key: bytes) -> int:
        """Cancel the timers of a record key, and return how many of them this batch has just stored. A cancellation starts over if it is
        repeated.
        """
        own = [name for name, payload in batch.values.items() if _is_timer_of(name, payload, (key,))]
        for name in own:
            batch.put(name, None)
        self._put(batch, key, _Pending())
        return len(own)

    def keep(self, batch: Table, name: bytes, payload: bytes) -> None:
        """Note that a timer was stored after the cancellation of its key, if there is one."""
        for key, pending in self._pending.items():
            if _is_timer_of(name, payload, (key,)):
                pending.kept.append(name)
                self._put(batch, key, pending)

    def read_slice(self, batch: Table) -> int:
        """Read the next slice of timers, delete those that are cancelled, and return their number."""
        if not self._pending:
            return 0
        # Those that are furthest behind are continued until they meet the next ones. Then one pass serves both.
        start = min(pending.position for pending in self._pending.values())
        group = {key: pending for key, pending in self._pending.items() if pending.position == start}
        ahead = min((p.position for p in self._pending.values() if p.position > start), default=PREFIX)
        kept = {name for pending in group.values() for name in pending.kept}
        deleted = 0
        end = ahead
        for read, (name, payload) in enumerate(self._store.items(start or None, ahead)):
            if read == self._limit:
                end = name
                break
            # The batch may have fired or deleted it.
            if name not in kept and batch.values.get(name, b"") is not None and _is_timer_of(name, payload, group):
                batch.put(name, None)
                deleted += 1
        for key, pending in group.items():
            if end == PREFIX:
                del self._pending[key]
                batch.put(PREFIX + key, None)
            else:
                pending.position = end
                self._put(batch, key, pending)
        return deleted

    def _put(self, batch: Table, key: bytes, pending: _Pending) -> None:
        self._pending[key] = pending
        batch.put(PREFIX + key, _encode(pending))


def _is_timer_of(name: bytes, payload: bytes | None, keys: Any) -> bool:
    """Return whether an entry of the table is a timer of one of the record keys. For the format of `payload` see `timers.pack`."""
    return (
        payload is not None
        and not name.startswith(PREFIX)
        and payload[2 : 2 + int.from_bytes(payload[:2], "big")] in keys
    )
