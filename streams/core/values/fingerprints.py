"""Rows of fingerprints: 8-byte hashes (see `ids.fingerprint`) in one bytes object, the oldest first."""

from __future__ import annotations

#: Bytes of a fingerprint.
SIZE = 8


def contains(row: bytes, fingerprint: bytes) -> bool:
    """Return whether `fingerprint` is in `row`."""
    return _find(row, fingerprint) != -1


def add(row: bytes, fingerprint: bytes, most: int) -> bytes:
    """Return `row` with `fingerprint` as the newest entry, and without the oldest entries beyond `most`."""
    at = _find(row, fingerprint)
    others = row if at == -1 else row[:at] + row[at + SIZE :]
    return (others + fingerprint)[-SIZE * most :]


def remove(row: bytes, fingerprint: bytes) -> bytes:
    """Return `row` without `fingerprint`."""
    at = _find(row, fingerprint)
    return row if at == -1 else row[:at] + row[at + SIZE :]


def _find(row: bytes, fingerprint: bytes) -> int:
    """Return the offset of `fingerprint` in `row`, or -1. A match across two entries does not count."""
    at = row.find(fingerprint)
    while at % SIZE and at != -1:
        at = row.find(fingerprint, at + 1)
    return at
