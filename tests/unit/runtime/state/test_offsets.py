"""Where a stage starts to read: no record that its state contains is read again, and no record is skipped in silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import dictionaries, integers, none, one_of, text

from streams.runtime.errors import StoreError
from streams.runtime.state.offsets import Source, decode_ids, decode_offsets, encode_offsets

OFFSETS = integers(0, 30)


@given(one_of(none(), OFFSETS), one_of(none(), OFFSETS), OFFSETS, OFFSETS)
def test_a_start_neither_repeats_nor_skips(committed: int | None, state: int | None, low: int, size: int) -> None:
    """It is never before what was read, never outside the topic, and each skipped offset is counted. Otherwise it is refused."""
    source = Source("orders", 0, committed, state, low, low + size)
    read = max([offset for offset in (committed, state) if offset is not None], default=None)
    if read is not None and read > source.high:
        with pytest.raises(
            StoreError, match=rf"^orders\[0\] ends at offset {source.high}, but was read up to offset {read}"
        ):
            source.start()
        return
    start, lost = source.start()
    assert low <= start <= source.high
    assert start == max(low, low if read is None else read)
    assert lost == (0 if read is None else start - read)


@given(one_of(none(), OFFSETS), one_of(none(), OFFSETS), OFFSETS)
def test_an_operator_decides(committed: int | None, state: int | None, low: int) -> None:
    """With accepted offsets only the committed one counts; without one, everything is read."""
    source = Source("orders", 0, committed, state, low, 40)
    expected = low if committed is None else max(low, committed)
    assert source.start(is_committed_trusted=True)[0] == expected


@given(dictionaries(text(), integers(0, 2**62)), text())
def test_offsets_survive_and_belong_to_one_cluster(offsets: dict[str, int], cluster: str) -> None:
    """Encoded offsets are decoded, for the same cluster only."""
    raw = encode_offsets(cluster, offsets)
    assert decode_offsets(raw, cluster) == offsets
    assert decode_offsets(raw, f"{cluster}!") is None
    assert decode_offsets(None, cluster) is None


def test_the_ids_of_topics_belong_to_their_offsets() -> None:
    """Only topics with an offset need one. Without ids the bytes are those of earlier versions, which have none."""
    released = b'{"cluster":"c","offsets":{"a":5}}'
    assert encode_offsets("c", {"a": 5}) == released
    assert (decode_offsets(released, "c"), decode_ids(released), decode_ids(None)) == ({"a": 5}, {}, {})
    raw = encode_offsets("c", {"a": 5, "b": 1}, {"a": "id-a", "z": "id-z"})
    assert (decode_offsets(raw, "c"), decode_ids(raw)) == ({"a": 5, "b": 1}, {"a": "id-a"})
