"""Walks: each key is visited once, at a rate, wherever the worker stops."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.runtime.processing.batch import Batch
from streams.runtime.processing.task import Task
from streams.runtime.processing.walks import MAX_SLICE, PREFIX, SLICES_PER_S, Walks
from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.batches import committed, outputs
from tests.harness.examples import examples
from tests.harness.kafka_fakes import Record, batch, task

SECOND_MS = 1000


class Walker:
    """A table with `count` keys, whose visits are published. `restart` reopens it, as a restarted worker does."""

    def __init__(self, folder: Path, count: int, rate: int = 50) -> None:
        self.folder = folder
        self.rate = rate
        self.now_ms = SECOND_MS
        self._published: list[tuple[bytes, bytes | None]] = []
        self.open()
        self.store.write({b"key-%03d" % n: b"%d" % n for n in range(count)}, None)

    def open(self) -> None:
        """Open the store and read the walks in it."""
        self.store = PartitionStore(self.folder / "customers" / "0", Memory(16))
        self.task: Task[Any] = task(self.store)
        self.walks = Walks(self.store, self.rate)

    def restart(self) -> None:
        """Close the store and open it again."""
        self.store.close()
        self.open()

    def batch(self, *records: Record) -> Batch[Any]:
        """Return the next batch, a second after the last one."""
        self.now_ms += SECOND_MS
        return batch(self.task, list(records), self.now_ms)

    def start(self, name: str, **options: Any) -> bool:
        """Start a walk in a batch of its own."""
        one = self.batch()
        is_new = self.walks.start(one, name, **options)
        self.commit(one)
        return is_new

    def step(self, *records: Record) -> int:
        """Visit the next slice in a batch of its own."""
        one = self.batch(*records)
        count = self.walks.step(one, visit)
        self.commit(one)
        return count

    def commit(self, one: Batch[Any]) -> None:
        """Commit a batch."""
        before = len(one.task.producer.committed)  # type: ignore[attr-defined]
        producer = committed(one)
        self._published += [(key, value) for topic, key, value in producer.committed[before:] if topic == "visits"]

    def run(self) -> None:
        """Step until no walk runs."""
        while self.walks.running:
            self.step()

    @property
    def visits(self) -> list[tuple[bytes, bytes | None]]:
        """The key and the payload of each visit that was committed."""
        return self._published


def visit(of: Batch[Any], payload: bytes, key: bytes, value: bytes) -> None:
    """Publish a visit."""
    of.send("visits", key, payload)


@pytest.fixture
def walker(tmp_path: Path) -> Walker:
    """Ten visits per slice."""
    return Walker(tmp_path, 25)


def keys(*numbers: int) -> list[bytes]:
    """Return keys of a walker."""
    return [b"key-%03d" % number for number in numbers]


def test_a_walk_visits_each_key_once(walker: Walker) -> None:
    """A walk visits all keys in their order, in slices, and nothing of the walks themselves. Then it has ended."""
    assert walker.start("a", payload=b"p", is_kept=True)
    assert [walker.step() for _ in range(4)] == [10, 10, 5, 0]
    assert walker.visits == [(key, b"p") for key in keys(*range(25))]
    assert walker.walks.running == ()
    assert not walker.walks.is_due(walker.now_ms + SECOND_MS)


def test_a_walk_over_a_range(walker: Walker) -> None:
    """A walk over a range visits the keys from its lower end until before its upper end."""
    walker.start("a", lower=b"key-003", upper=b"key-006")
    walker.run()
    assert [key for key, _ in walker.visits] == keys(3, 4, 5)


def test_a_kept_walk_never_starts_again(walker: Walker) -> None:
    """A kept walk is known after its end and after a restart, until it is forgotten; another one may start again."""
    assert walker.start("kept", is_kept=True)
    assert not walker.start("kept", is_kept=True)
    assert walker.start("again")
    walker.run()
    walker.restart()
    assert "kept" in walker.walks
    assert not walker.start("kept", is_kept=True)
    assert walker.start("again")
    walker.run()
    one = walker.batch()
    walker.walks.forget(one, walker.now_ms)
    walker.commit(one)
    walker.restart()
    assert "kept" not in walker.walks
    assert list(walker.store.items(PREFIX)) == []


def test_walks_take_turns(walker: Walker) -> None:
    """A short walk does not wait for the end of a long one."""
    walker.start("long")
    walker.start("short", lower=b"key-020")
    walker.step()
    walker.step()
    assert walker.walks.running == ("long",)


def test_the_rate(walker: Walker) -> None:
    """A slice is due once per interval, also after the clock has stepped back. A rate above all bounds gives more slices."""
    walker.start("a")
    walker.step()
    now = walker.now_ms
    interval = SECOND_MS // SLICES_PER_S
    assert not walker.walks.is_due(now + interval - 1)
    assert walker.walks.is_due(now + interval)
    assert walker.walks.is_due(now - 1)
    fast = Walks(walker.store, 100 * MAX_SLICE)
    one = walker.batch()
    assert fast.step(one, visit) == 15
    slow = Walker(walker.folder / "slow", 3, rate=1)
    slow.start("a")
    slow.step()
    assert [slow.walks.is_due(slow.now_ms + later) for later in (SECOND_MS - 1, SECOND_MS)] == [False, True]


def test_records_come_first(walker: Walker) -> None:
    """A batch with records visits fewer keys."""
    walker.start("a")
    assert walker.step(Record(0)) == 2


def test_a_walk_ends_early(walker: Walker) -> None:
    """A walk that is ended visits nothing more, and is kept."""
    walker.start("a", is_kept=True)
    walker.step()
    one = walker.batch()
    walker.walks.end(one, "a")
    walker.commit(one)
    walker.restart()
    assert walker.walks.running == ()
    assert "a" in walker.walks


def test_what_is_left(walker: Walker) -> None:
    """The keys that are left are estimated from the size of the table."""
    assert walker.walks.left == 0
    walker.start("a")
    before = walker.walks.left
    walker.step()
    assert before >= 25
    assert 0 < walker.walks.left < before


def test_no_walk_costs_nothing(walker: Walker) -> None:
    """Without a walk no slice is due, and nothing is published."""
    assert not walker.walks.is_due(walker.now_ms)
    assert walker.step() == 0
    assert outputs(walker.task.producer) == []  # type: ignore[arg-type]  # a fake


@settings(max_examples=examples(30))
@given(st.lists(st.sampled_from(["step", "die", "restart", "busy"]), max_size=12), st.integers(1, 40))
def test_each_key_is_visited_once_wherever_it_stops(actions: list[str], count: int) -> None:
    """A worker that ends before a commit visits those keys again, and no other."""
    with tempfile.TemporaryDirectory() as folder:
        walker = Walker(Path(folder), count)
        walker.start("a", is_kept=True)
        for action in actions:
            if action == "die":
                walker.walks.step(walker.batch(), visit)  # never committed
            if action in ("die", "restart"):
                walker.restart()
            else:
                walker.step(*([Record(0)] if action == "busy" else []))
        walker.run()
        assert [key for key, _ in walker.visits] == keys(*range(count))
        walker.store.close()
