"""The partition store: values, position and order, also after it was reopened."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats

from streams.runtime.errors import StateError
from streams.runtime.state.quarantine import is_damage
from streams.runtime.state.store import FLUSH_INTERVAL_S, Memory, PartitionStore
from tests.harness.examples import examples


@pytest.fixture
def store(tmp_path: Path) -> PartitionStore:
    return PartitionStore(tmp_path / "table" / "0", Memory(16))


def keys(store: PartitionStore, lower: bytes | None = None, upper: bytes | None = None) -> list[bytes]:
    return [key for key, _ in store.items(lower, upper)]


@pytest.mark.parametrize("is_flushed", [False, True])
def test_items_between_bounds(store: PartitionStore, is_flushed: bool) -> None:
    """Every combination of bounds yields lower <= key < upper, from memtables and from files."""
    store.write({bytes([n]): b"v" for n in range(10)}, 10)
    if is_flushed:
        path = store.path
        store.close()
        store = PartitionStore(path, Memory(16))
    assert keys(store) == [bytes([n]) for n in range(10)]
    assert keys(store, lower=b"\x07") == [b"\x07", b"\x08", b"\x09"]
    assert keys(store, upper=b"\x02") == [b"\x00", b"\x01"]
    assert keys(store, b"\x03", b"\x05") == [b"\x03", b"\x04"]
    assert keys(store, lower=b"\x0a") == []


def test_position_and_values_survive(store: PartitionStore) -> None:
    """A reopened store contains the values, position and meta values of its last write, without deleted keys."""
    store.write({b"a": b"1", b"b": b"2"}, 7, {b"cursor": b"5"})
    store.write({b"a": None}, 9)
    store.put_local(b"here", b"x")
    path = store.path
    assert store.is_open
    store.close()
    assert not store.is_open
    reopened = PartitionStore(path, Memory(16))
    assert (reopened.get(b"a"), reopened.get(b"b"), reopened.position, reopened.meta(b"cursor")) == (
        None,
        b"2",
        9,
        b"5",
    )
    assert reopened.get_local(b"here") == b"x"
    assert reopened.written_at_ms > 0


def test_wipe_deletes_everything(store: PartitionStore) -> None:
    """A wiped store has no values, no position and no local values."""
    store.write({b"a": b"1"}, 7)
    store.put_local(b"here", b"x")
    store.wipe()
    assert (keys(store), store.position, store.get_local(b"here")) == ([], 0, None)


def test_a_store_is_opened_once(store: PartitionStore) -> None:
    """Two workers cannot open the same directory."""
    with pytest.raises(Exception, match=r"[Ll]ock"):
        PartitionStore(store.path, Memory(16))


def fill(store: PartitionStore, count: int = 3000) -> dict[bytes, bytes]:
    """Write `count` entries of 200 random bytes to files, and return them."""
    entries = {b"%05d" % n: random.Random(n).randbytes(200) for n in range(count)}
    store.write(entries, count)
    store._data.flush()
    return entries


def damage(path: Path, at: float) -> None:
    """Overwrite 64 bytes of the largest file at the share `at` of its blocks of data."""
    file = max(path.glob("*.sst"), key=lambda file: file.stat().st_size)
    with file.open("r+b") as content:
        content.seek(int(file.stat().st_size * at))
        content.write(bytes(64))


def note(path: Path) -> Path:
    """Return where the note of a damaged store is."""
    return path.with_name(f"{path.name}.corrupt")


@given(at=floats(0.0, 0.9))
@settings(max_examples=examples(20))
def test_no_damage_is_passed_over(tmp_path_factory: pytest.TempPathFactory, at: float) -> None:
    """Wherever a block is damaged, a scan and a read raise StateError, and a note is left. rocksdict would end the scan in silence."""
    path = tmp_path_factory.mktemp("state") / "table" / "0"
    store = PartitionStore(path, Memory(16))
    entries = fill(store)
    store.close()
    damage(path, at)
    store = PartitionStore(path, Memory(16))
    with pytest.raises(StateError, match="cannot read the state in"):
        list(store.items())
    assert "Corruption" in note(path).read_text()
    note(path).unlink()
    with pytest.raises(StateError):
        list(map(store.get, entries))
    assert note(path).exists()
    store.close()


def test_a_noted_store_is_moved_away(store: PartitionStore) -> None:
    """The next start moves a damaged store away and begins with an empty one. The one after it finds nothing to do."""
    fill(store, 10)
    store.mark_damaged("a reason")
    path = store.path
    store.close()
    store = PartitionStore(path, Memory(16))
    assert (store.is_quarantined, store.position, keys(store)) == (True, 0, [])
    assert not note(path).exists()
    (moved,) = path.parent.glob("0.corrupt-*")
    assert (moved / "DAMAGED").read_text() == "a reason\n"
    store.close()
    store = PartitionStore(path, Memory(16))
    assert not store.is_quarantined


@pytest.mark.parametrize("file", ["CURRENT", "MANIFEST-*", "*.sst"])
@pytest.mark.parametrize("how", ["deleted", "emptied"])
def test_a_store_that_cannot_be_opened(store: PartitionStore, file: str, how: str) -> None:
    """A store whose files are missing or cut is moved away at once."""
    fill(store)
    path = store.path
    store.close()
    for broken in path.glob(file):
        broken.unlink()
        if how == "emptied":
            broken.touch()
    store = PartitionStore(path, Memory(16))
    assert (store.is_quarantined, keys(store)) == (True, [])


def test_few_damaged_copies_are_kept(store: PartitionStore) -> None:
    """The newest two damaged copies stay. A store that is damaged for the third time within an hour is used as it is."""
    path = store.path
    for old in range(3):
        (path.parent / f"0.corrupt-{old}").mkdir()
    for _ in range(2):
        store.mark_damaged("again")
        store.close()
        store = PartitionStore(path, Memory(16))
        assert store.is_quarantined
    assert len(list(path.parent.glob("0.corrupt-*"))) == 2
    fill(store, 10)
    store.mark_damaged("again")
    store.close()
    store = PartitionStore(path, Memory(16))
    assert (store.is_quarantined, len(keys(store))) == (False, 10)
    assert not note(path).exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Corruption: block checksum mismatch: stored(context removed) = 1, computed = 2", True),
        ("IO error: Input/output error: While pread offset 0 len 4096: /state/0/000009.sst", True),
        ("IO error: No such file or directory: While open a file for random read: /state/0/000009.sst", True),
        ("IO error: No space left on device: While appending to file: /state/0/000012.log", False),
        ("IO error: Too many open files: While open a file for random read: /state/0/000009.sst", False),
        ("IO error: While lock file: /state/0/LOCK: Resource temporarily unavailable", False),
        (
            "IO error: lock hold by current process, acquire time 1 acquiring thread 2: /state/0/LOCK: No locks available",
            False,
        ),
        ("Too many open files (os error 24)", False),
        ("Invalid argument: Column families not opened: other", False),
    ],
)
def test_what_damage_is(text: str, expected: bool) -> None:
    """Only damaged, missing and unreadable files are damage: a full disk, a limit of the process and a lock are not."""
    assert is_damage(Exception(text)) == expected


def test_a_store_in_use_is_not_moved_away(store: PartitionStore) -> None:
    """A note beside a store that another process uses changes nothing."""
    store.mark_damaged("a reason")
    script = "import sys, pathlib; from streams.runtime.state.quarantine import quarantine_marked as q; assert q(pathlib.Path(sys.argv[1])) is None"
    subprocess.run([sys.executable, "-c", script, str(store.path)], check=True, capture_output=True)
    assert store.path.exists()


class _Failing:
    """A database that fails to close after it has closed."""

    def __init__(self, database: Any, error: str) -> None:
        self._database = database
        self._error = error

    def close(self) -> None:
        self._database.close()
        raise Exception(self._error)


@pytest.mark.parametrize(
    ("error", "is_damaged"),
    [
        ("IO error: While fsync: 000014.sst: Input/output error", True),
        ("IO error: No space left on device: 000014.sst", False),
    ],
)
def test_a_store_that_cannot_be_closed(store: PartitionStore, error: str, is_damaged: bool) -> None:
    """An error of the disk at the close does not keep the process from ending, and damage is repaired at the next start."""
    store.write({b"a": b"1"}, 3)
    store._db = _Failing(store._db, error)
    store.close()
    store.close()
    again = PartitionStore(store.path, Memory(16))
    assert (again.is_quarantined, again.position) == ((True, 0) if is_damaged else (False, 3))
    again.close()


def test_a_deleted_value_leaves_the_disk(store: PartitionStore) -> None:
    """The log of writes is deleted with the next flush, which happens once a day. A compaction then leaves nothing of a deleted value."""
    secret = b"anna@example.org"

    def files() -> list[str]:
        return [path.name for path in store.path.rglob("*") if path.is_file() and secret in path.read_bytes()]

    store.write({b"a": secret}, 1)
    assert files()
    store.write({b"a": None}, 2)
    store._flushed_at -= FLUSH_INTERVAL_S
    store.write({b"b": b"other"}, 3)
    store._data.compact_range(None, None)
    assert files() == []
    assert store.get(b"b") == b"other"


def test_files_are_rewritten_each_week(store: PartitionStore) -> None:
    """RocksDB has the option that rewrites old files, in the families that contain keys or values of people."""
    options = sorted(store.path.glob("OPTIONS-*"))[-1].read_text(encoding="utf-8")
    assert options.count("periodic_compaction_seconds=604800") == 2
