"""Rows of fingerprints: 8-byte hashes (see `ids.fingerprint`) in one bytes object, the oldest first."""

from __future__ import annotations

from collections.abc import Iterator

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


def entries(row: bytes) -> Iterator[bytes]:
    """Yield the fingerprints of `row`, the oldest first."""
    for at in range(0, len(row), SIZE):
        yield row[at : at + SIZE]


def merge(older: bytes, newer: bytes, most: int) -> bytes:
    """Return both rows as one, each entry once; the oldest entries beyond `most` are dropped."""
    unique = list(dict.fromkeys(reversed([*entries(older), *entries(newer)])))
    return b"".join(reversed(unique[:most]))


def _find(row: bytes, fingerprint: bytes) -> int:
    """Return the offset of `fingerprint` in `row`, or -1. A match across two entries does not count."""
    at = row.find(fingerprint)
    while at % SIZE and at != -1:
        at = row.find(fingerprint, at + 1)
    return at
