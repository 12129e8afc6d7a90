"""The partition store: values, position and order, also after it was reopened."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.runtime.state.store import Memory, PartitionStore


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
    store.close()
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
