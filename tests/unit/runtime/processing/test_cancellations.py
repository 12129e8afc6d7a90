"""Cancellation of all timers of a key: in slices, across restarts, and not of timers that arrive later."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from streams.runtime.processing import cancellations
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.task import Task
from streams.runtime.processing.timers import NEVER, Timers, pack, unpack
from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.kafka_fakes import batch, task


class Scheduler:
    """The timers of one partition."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.limit = cancellations.SLICE
        self.fired: list[bytes] = []
        self.open()

    def open(self) -> None:
        """Open the store, as a restarted worker does."""
        self.store = PartitionStore(self.folder / "timers" / "0", Memory(16))
        self.task: Task[Any] = task(self.store)
        self.timers = Timers(self.store)
        self.timers._cancellations = cancellations.Cancellations(self.store, self.limit)

    def restart(self) -> None:
        """Close the store and open it again."""
        self.store.close()
        self.open()

    def sweep(self, now: int, *arrived: tuple[int, bytes, bytes]) -> None:
        """Commit one batch with timers (due, key, id). A due time of `NEVER` cancels those of the key."""
        current = batch(self.task, [], now)

        def fire(of: Batch[Any], due: int, payload: bytes) -> None:
            self.fired.append(unpack(payload)[0])

        rows = [(due, b"", key) if due == NEVER else (due, name, pack(key, b"timer")) for due, key, name in arrived]
        self.timers.sweep(current, rows, fire)

        async def run() -> None:
            await current.commit()
            await current.done()

        asyncio.run(run())

    def finish(self, now: int) -> int:
        """Commit batches until nothing is due, and return their number."""
        count = 0
        while self.timers.is_due(now):
            self.sweep(now)
            count += 1
        return count

    @property
    def stored(self) -> list[bytes]:
        """The ids of the stored timers."""
        return [name[8:] for name, _ in self.store.items()]


@pytest.fixture
def one(tmp_path: Path) -> Scheduler:
    return Scheduler(tmp_path)


def test_all_timers_of_a_key_are_deleted(one: Scheduler) -> None:
    """Timers of other keys stay and fire, and the number of pending timers is right."""
    one.sweep(0, (500, b"anna", b"1"), (600, b"bo", b"2"), (700, b"anna", b"3"))
    one.sweep(1, (NEVER, b"anna", b""))
    assert one.stored == [b"2"]
    assert (one.timers.pending, one.timers.is_due(1)) == (1, False)
    one.sweep(1000)
    assert one.fired == [b"bo"]


def test_timers_of_the_same_batch_are_deleted(one: Scheduler) -> None:
    """A timer that precedes the cancellation in its batch is deleted, and one that follows stays."""
    one.sweep(0, (500, b"anna", b"before"), (NEVER, b"anna", b""), (500, b"anna", b"after"))
    assert one.finish(0) == 0
    assert one.stored == [b"after"]


def test_slices(one: Scheduler) -> None:
    """A large table is read in slices, across a restart; timers of the key that arrive meanwhile stay; a later key joins the pass."""
    one.limit = 10
    one.restart()
    one.sweep(0, *[(1000 + n, b"anna" if n % 2 else b"bo", b"%03d" % n) for n in range(50)])
    one.sweep(1, (NEVER, b"anna", b""))
    one.sweep(1, (NEVER, b"bo", b""), (2000, b"anna", b"later"))
    one.restart()
    assert one.timers.is_due(1)
    assert one.finish(1) > 2
    assert one.stored == [b"later"]
    one.sweep(3000)
    assert one.fired == [b"anna"]


def test_an_older_version_fires_on_time(one: Scheduler) -> None:
    """The entry of a pending cancellation is behind every due time, so that no sweep takes it for a timer."""
    entry = cancellations.PREFIX + b"anna"
    one.store.write({entry: cancellations._encode(cancellations._Pending(b"\x00" * 9, []))}, None)
    one.restart()
    assert one.timers.next_ms == NEVER
    one.sweep(5, (6, b"bo", b"1"))
    one.sweep(7)
    assert one.fired == [b"bo"]
    assert one.stored == []
