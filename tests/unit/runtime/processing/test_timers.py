"""Timers: each fires once and never early, whatever the clock does and wherever the worker stops."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.runtime.processing.batch import Batch
from streams.runtime.processing.task import Task
from streams.runtime.processing.timers import CURSOR, Timers, pack, unpack
from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.examples import examples
from tests.harness.kafka_fakes import batch, task


class Sweeper:
    """The timers of a task, swept by the test; `fired` contains (due, payload) in the order of firing."""

    def __init__(self, folder: Path, limit: int = 1000) -> None:
        self.folder = folder
        self.limit = limit
        self.fired: list[tuple[int, bytes]] = []
        self.open()

    def open(self) -> None:
        """Open the store, as a restarted worker does."""
        self.store = PartitionStore(self.folder / "timers" / "0", Memory(16))
        self.task: Task[Any] = task(self.store)
        self.timers = Timers(self.store, self.limit)

    def restart(self) -> None:
        """Close the store and open it again."""
        self.store.close()
        self.open()

    def die(self) -> None:
        """From now on lose what the changelog does not contain, as a process does that dies between a commit and its write to disk."""
        write = self.store.write
        self.store.write = lambda changes, position, meta=None: write(changes, position)  # type: ignore[method-assign]

    def sweep(self, now: int, *arrived: tuple[int, bytes]) -> None:
        """Commit one batch at `now` with the arrived timers (due, id)."""
        current = batch(self.task, [], now)

        def fire(of: Batch[Any], due: int, payload: bytes) -> None:
            self.fired.append((due, payload))

        self.timers.sweep(current, [(due, name, b"p" + name) for due, name in arrived], fire)

        async def run() -> None:
            await current.commit()
            await current.done()

        asyncio.run(run())


@pytest.fixture
def sweeper(tmp_path: Path) -> Sweeper:
    return Sweeper(tmp_path)


def test_timers_fire_in_order(sweeper: Sweeper) -> None:
    """Timers are stored until they are due, and fire in order with their payload. Then the table is empty."""
    sweeper.sweep(0, (300, b"c"), (100, b"a"), (200, b"b"))
    assert not sweeper.timers.is_due(99)
    sweeper.sweep(99)
    assert sweeper.fired == []
    assert sweeper.timers.is_due(100)
    sweeper.sweep(250)
    assert sweeper.fired == [(100, b"pa"), (200, b"pb")]
    assert (sweeper.timers.next_ms, sweeper.timers.is_due(299)) == (300, False)
    sweeper.sweep(1000)
    assert sweeper.fired[2:] == [(300, b"pc")]
    assert list(sweeper.store.items()) == []


def test_a_late_timer_fires_at_once(sweeper: Sweeper) -> None:
    """A timer that is overdue when it arrives fires at once, whether its due time is before the cursor or not."""
    sweeper.sweep(0, (500, b"a"))
    sweeper.sweep(1000)
    sweeper.sweep(1001, (700, b"late"))
    assert sweeper.fired == [(500, b"pa"), (700, b"plate")]
    sweeper.sweep(5000)
    assert len(sweeper.fired) == 2


def test_a_sweep_is_bounded(tmp_path: Path) -> None:
    """Many due timers fire in slices. The rest stay due, also those of the same millisecond."""
    sweeper = Sweeper(tmp_path, limit=10)
    sweeper.sweep(0, *[(100, b"%03d" % n) for n in range(25)])
    sizes = []
    while sweeper.timers.is_due(100):
        before = len(sweeper.fired)
        sweeper.sweep(100)
        sizes.append(len(sweeper.fired) - before)
    assert sizes == [10, 10, 5]
    assert [payload for _, payload in sweeper.fired] == [b"p%03d" % n for n in range(25)]


def test_a_restart_resumes_at_the_cursor(sweeper: Sweeper) -> None:
    """Cursor and timers are on disk: fired timers do not fire again, and the next one is known at once."""
    sweeper.sweep(0, (100, b"a"), (900, b"b"))
    sweeper.sweep(500)
    sweeper.restart()
    assert (sweeper.timers.cursor_ms, sweeper.timers.next_ms) == (501, 900)
    sweeper.sweep(600)
    sweeper.sweep(901)
    assert [due for due, _ in sweeper.fired] == [100, 900]


HOUR = 3_600_000
YEARS = 10 * 365 * 24 * HOUR


def test_a_clock_that_steps_back(sweeper: Sweeper) -> None:
    """After an hour back, fired timers do not fire again, and new timers fire when the clock reaches them, not earlier."""
    sweeper.sweep(2 * HOUR - 10, (2 * HOUR, b"a"))
    sweeper.sweep(2 * HOUR)
    sweeper.sweep(HOUR, (2 * HOUR - 5, b"b"), (2 * HOUR + 5, b"c"))
    assert [payload for _, payload in sweeper.fired] == [b"pa"]
    sweeper.sweep(2 * HOUR - 6)
    assert len(sweeper.fired) == 1
    sweeper.sweep(2 * HOUR + 4)
    assert sweeper.fired[1:] == [(2 * HOUR - 5, b"pb")]
    sweeper.sweep(2 * HOUR + 5)
    assert sweeper.fired[2:] == [(2 * HOUR + 5, b"pc")]


def test_a_clock_that_was_years_ahead_for_a_moment(sweeper: Sweeper) -> None:
    """After one sweep ten years ahead, timers wait until they are due: in the same process, and after restarts."""
    sweeper.sweep(0, (HOUR, b"stored"))
    sweeper.sweep(YEARS)
    assert sweeper.fired == [(HOUR, b"pstored")]
    sweeper.sweep(10, (2 * HOUR, b"a"))
    sweeper.restart()
    sweeper.sweep(20, (HOUR + 30, b"b"))
    assert len(sweeper.fired) == 1
    sweeper.restart()
    assert (sweeper.timers.cursor_ms, sweeper.timers.next_ms, sweeper.timers.pending) == (HOUR + 30, HOUR + 30, 2)
    sweeper.sweep(HOUR + 29)
    assert len(sweeper.fired) == 1
    sweeper.sweep(HOUR + 30)
    sweeper.sweep(2 * HOUR)
    assert [payload for _, payload in sweeper.fired] == [b"pstored", b"pb", b"pa"]


def test_a_cursor_of_an_older_version_that_is_far_ahead(sweeper: Sweeper) -> None:
    """A cursor that an older worker moved ten years ahead delays and hastens nothing: new timers wait, and then fire."""
    sweeper.store.write({}, None, {CURSOR: b"%d" % (YEARS + 1)})
    sweeper.restart()
    assert sweeper.timers.cursor_ms == YEARS + 1
    sweeper.sweep(100, (200, b"a"))
    assert sweeper.fired == []
    sweeper.restart()
    sweeper.sweep(200)
    assert sweeper.fired == [(200, b"pa")]


def test_a_timer_behind_the_cursor_after_a_restore(sweeper: Sweeper) -> None:
    """The cursor is not in the changelog: a restored timer that is due before it is found when the partition is taken over."""
    sweeper.sweep(0, (1, b"a"))
    sweeper.sweep(YEARS)
    sweeper.die()
    sweeper.sweep(100, (200, b"b"))
    sweeper.restart()
    assert sweeper.timers.is_due(200)
    sweeper.sweep(200)
    assert sweeper.fired[1:] == [(200, b"pb")]


def test_payloads_survive() -> None:
    """`unpack` returns the key and value given to `pack`, also empty ones."""
    for key, value in ((b"", b""), (b"k", b""), (b"c" * 600, b"\x00v")):
        assert unpack(pack(key, value)) == (key, value)


operations: Any = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.lists(st.integers(1, 400), max_size=6)),
        st.tuples(st.just("tick"), st.integers(-60, 120)),
        st.tuples(st.just("glitch"), st.sampled_from([-1_000_000, 200, YEARS])),
        st.tuples(st.just("restart"), st.booleans()),
    ),
    max_size=25,
)


@settings(max_examples=examples(60), deadline=None)
@given(operations, st.integers(1, 4))
def test_each_fires_once_and_never_early(steps: list[tuple[str, Any]], limit: int) -> None:
    """With any mix of new timers, crashes and clock changes, every timer fires once, and none before its due time by that sweep's clock."""
    with tempfile.TemporaryDirectory() as folder:
        sweeper = Sweeper(Path(folder), limit)
        now, count = 10, 0
        expected: dict[bytes, int] = {}
        reached: list[int] = []
        for kind, argument in steps:
            arrived = []
            if kind == "tick":
                now = max(0, now + argument)
            elif kind == "glitch":  # the clock is wrong for one sweep
                sweeper.sweep(max(0, now + argument))
                reached += [max(0, now + argument)] * (len(sweeper.fired) - len(reached))
            elif kind == "restart":
                if argument:
                    sweeper.die()
                    sweeper.sweep(now)
                    reached += [now] * (len(sweeper.fired) - len(reached))
                sweeper.restart()
            else:
                for due in argument:
                    count += 1
                    expected[b"p%d" % count] = due
                    arrived.append((due, b"%d" % count))
            if arrived and count % 3 == 0:  # the commit succeeds, and the process dies before it writes to its disk
                sweeper.die()
            sweeper.sweep(now, *arrived)
            reached += [now] * (len(sweeper.fired) - len(reached))
            if arrived and count % 3 == 0:
                sweeper.restart()
        assert all(due <= time for (due, _), time in zip(sweeper.fired, reached, strict=True))
        for _ in range(count + 1):
            sweeper.sweep(10_000)
        assert sorted(payload for _, payload in sweeper.fired) == sorted(expected)
        assert all(expected[payload] == due for due, payload in sweeper.fired)
        sweeper.store.close()
