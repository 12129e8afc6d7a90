"""Rows of fingerprints."""

from __future__ import annotations

from streams.core.values import fingerprints

ONE, TWO, THREE = (bytes([number] * fingerprints.SIZE) for number in (1, 2, 3))


def test_newest_entry_is_last() -> None:
    """A fingerprint that is added again moves to the end instead of being stored twice."""
    row = fingerprints.add(fingerprints.add(b"", ONE, 3), TWO, 3)
    assert row == ONE + TWO
    assert fingerprints.add(row, ONE, 3) == TWO + ONE


def test_oldest_entry_is_dropped() -> None:
    """A row beyond its limit loses its oldest entry."""
    row = b""
    for fingerprint in (ONE, TWO, THREE):
        row = fingerprints.add(row, fingerprint, 2)
    assert row == TWO + THREE
    assert not fingerprints.contains(row, ONE)


def test_entries_are_compared_whole() -> None:
    """Bytes that span two entries are not an entry, even if the same bytes follow as one."""
    row = ONE + TWO
    across = row[4:12]
    assert not fingerprints.contains(row, across)
    assert fingerprints.contains(row + across, across)
