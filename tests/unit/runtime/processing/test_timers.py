"""Timers: each fires once, never before its time, whatever the clock does and wherever the worker stops."""

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
from streams.runtime.processing.timers import Timers, pack, unpack
from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.kafka_fakes import batch, task


class Clockwork:
    """A lane's timers, swept by hand; `fired` has (due, payload) in the order of firing, `at` the moment of each."""

    def __init__(self, folder: Path, limit: int = 1000) -> None:
        self.folder = folder
        self.limit = limit
        self.fired: list[tuple[int, bytes]] = []
        self.at: list[int] = []
        self.open()

    def open(self) -> None:
        """Open what is on disk, as a restarted worker does."""
        self.store = PartitionStore(self.folder / "timers" / "0", Memory(16))
        self.task: Task = task(self.store)
        self.timers = Timers(self.store, self.limit)

    def restart(self) -> None:
        """Stop and open again."""
        self.store.close()
        self.open()

    def sweep(self, now: int, *arrived: tuple[int, bytes]) -> None:
        """One batch at `now` with the timers that arrived (due, id), committed."""
        one = batch(self.task, [], now)

        def fire(of: Batch, due: int, payload: bytes) -> None:
            self.fired.append((due, payload))
            self.at.append(now)

        self.timers.sweep(one, [(due, name, b"p" + name) for due, name in arrived], fire)

        async def run() -> None:
            await one.commit()
            await one.done()

        asyncio.run(run())


@pytest.fixture
def clock(tmp_path: Path) -> Clockwork:
    return Clockwork(tmp_path)


def test_stored_then_fired_in_the_order_of_time(clock: Clockwork) -> None:
    """Timers wait until they are due and fire in order, each with what it was stored with; then nothing is left."""
    clock.sweep(0, (300, b"c"), (100, b"a"), (200, b"b"))
    assert not clock.timers.is_due(99)
    clock.sweep(99)
    assert clock.fired == []
    assert clock.timers.is_due(100)
    clock.sweep(250)
    assert clock.fired == [(100, b"pa"), (200, b"pb")]
    assert (clock.timers.next_ms, clock.timers.is_due(299)) == (300, False)
    clock.sweep(1000)
    assert clock.fired[2:] == [(300, b"pc")]
    assert list(clock.store.items()) == []


def test_behind_the_cursor_fires_at_once(clock: Clockwork) -> None:
    """A timer that arrives when its time has passed is not stored where no sweep would come by again."""
    clock.sweep(0, (500, b"a"))
    clock.sweep(1000)
    clock.sweep(1001, (700, b"late"))
    assert clock.fired == [(500, b"pa"), (700, b"plate")]
    clock.sweep(5000)
    assert len(clock.fired) == 2


def test_a_sweep_is_bounded(tmp_path: Path) -> None:
    """A burst is fired in slices; the rest stays due, those of the same millisecond included."""
    clock = Clockwork(tmp_path, limit=10)
    clock.sweep(0, *[(100, b"%03d" % n) for n in range(25)])
    sizes = []
    while clock.timers.is_due(100):
        before = len(clock.fired)
        clock.sweep(100)
        sizes.append(len(clock.fired) - before)
    assert sizes == [10, 10, 5]
    assert [payload for _, payload in clock.fired] == [b"p%03d" % n for n in range(25)]


def test_a_restart_goes_on_where_it_stood(clock: Clockwork) -> None:
    """The cursor and the timers are on disk: what fired does not fire again, what waits is known at once."""
    clock.sweep(0, (100, b"a"), (900, b"b"))
    clock.sweep(500)
    clock.restart()
    assert (clock.timers.cursor_ms, clock.timers.next_ms) == (501, 900)
    clock.sweep(600)
    clock.sweep(901)
    assert [due for due, _ in clock.fired] == [100, 900]


def test_a_clock_that_steps_back(clock: Clockwork) -> None:
    """An hour back: what fired does not fire again, and a timer that is due by the cursor does not wait for the hour to pass."""
    hour = 3_600_000
    clock.sweep(2 * hour - 10, (2 * hour, b"a"))
    clock.sweep(2 * hour)
    clock.sweep(hour, (2 * hour - 5, b"b"), (2 * hour + 5, b"c"))
    assert [payload for _, payload in clock.fired] == [b"pa", b"pb"]
    clock.sweep(2 * hour + 4)
    assert len(clock.fired) == 2
    clock.sweep(2 * hour + 5)
    assert clock.fired[-1] == (2 * hour + 5, b"pc")


def test_payloads_survive() -> None:
    """Key and value of a record come out as they went in, empty ones too."""
    for key, value in ((b"", b""), (b"k", b""), (b"c" * 600, b"\x00v")):
        assert unpack(pack(key, value)) == (key, value)


moves: Any = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.lists(st.integers(1, 400), max_size=6)),
        st.tuples(st.just("tick"), st.integers(-60, 120)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(moves, st.integers(1, 4))
def test_each_fires_once_and_never_early(steps: list[tuple[str, Any]], limit: int) -> None:
    """Any mix of arrivals, restarts and a clock that goes both ways: every timer fires once, none before the clock ever reached it."""
    with tempfile.TemporaryDirectory() as folder:
        clock = Clockwork(Path(folder), limit)
        now, latest, made = 10, 10, 0
        wanted: dict[bytes, int] = {}
        reached: list[int] = []
        for kind, what in steps:
            arrived = []
            if kind == "tick":
                now = max(0, now + what)
            elif kind == "restart":
                clock.restart()
            else:
                for due in what:
                    made += 1
                    wanted[b"p%d" % made] = due
                    arrived.append((due, b"%d" % made))
            latest = max(latest, now)
            clock.sweep(now, *arrived)
            reached += [latest] * (len(clock.fired) - len(reached))
        assert all(due <= moment for (due, _), moment in zip(clock.fired, reached, strict=True))
        for _ in range(made + 1):
            clock.sweep(10_000)
        assert sorted(payload for _, payload in clock.fired) == sorted(wanted)
        assert all(wanted[payload] == due for due, payload in clock.fired)
        clock.store.close()
