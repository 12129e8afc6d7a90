"""The start of a restore: a store that does not fit its changelog is wiped, or refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.runtime.errors import StoreError
from streams.runtime.state.restore import IDENTITY, start_of
from streams.runtime.state.store import Memory, PartitionStore

TOPIC = "app-flows-customers-changelog"


@pytest.fixture
def store(tmp_path: Path) -> PartitionStore:
    """A store at position 10."""
    store = PartitionStore(tmp_path / "table" / "0", Memory(16))
    store.write({b"a": b"1"}, 10)
    return store


def test_a_store_adopts_the_identity_of_its_changelog(store: PartitionStore) -> None:
    """A store of an older version has no identity. It takes the one that it meets first, and keeps its content."""
    assert start_of(TOPIC, 0, store, 0, 12, b"cluster id-1") == 10
    assert store.meta(IDENTITY) == b"cluster id-1"
    assert start_of(TOPIC, 0, store, 0, 12, b"cluster id-1") == 10
    assert start_of(TOPIC, 0, store, 0, 12) == 10  # a broker without topic ids
    assert store.get(b"a") == b"1"


@pytest.mark.parametrize(
    ("identity", "high", "words"),
    [
        (b"cluster id-2", 500, "belongs to another changelog than {}.*deleted and recreated"),
        (
            b"other id-1",
            500,
            "belongs to another changelog than {}.*copied from another cluster, or this is the wrong cluster",
        ),
        (b"cluster id-1", 9, r"is ahead of its changelog {} \(position 10, end 9\)"),
    ],
)
def test_a_changelog_that_does_not_fit_is_refused(
    store: PartitionStore, identity: bytes, high: int, words: str
) -> None:
    """The error names the topic and both remedies. It does not advise to delete a directory. An accepted changelog replaces the content."""
    start_of(TOPIC, 0, store, 0, 12, b"cluster id-1")
    for _ in range(2):
        with pytest.raises(StoreError, match=words.format(rf"{TOPIC}\[0\]")) as error:
            start_of(TOPIC, 0, store, 0, high, identity)
        assert "--accept-changelog" in str(error.value)
        assert "another TAKK_APP_ID" in str(error.value)
        assert "delete" not in str(error.value).replace("deleted", "")
    assert store.get(b"a") == b"1"
    assert start_of(TOPIC, 0, store, 3, high, identity, is_accepted=True) == 3
    assert (store.get(b"a"), store.position, store.meta(IDENTITY)) == (None, 0, identity)
    assert start_of(TOPIC, 0, store, 3, high, identity) == 3


def test_an_empty_store_takes_any_changelog(tmp_path: Path) -> None:
    """A store without content belongs to no changelog yet, whatever identity it has."""
    store = PartitionStore(tmp_path / "0", Memory(16))
    assert start_of(TOPIC, 0, store, 0, 12, b"cluster id-1") == 0
    assert start_of(TOPIC, 0, store, 0, 12, b"cluster id-2") == 0
    assert store.meta(IDENTITY) == b"cluster id-2"
