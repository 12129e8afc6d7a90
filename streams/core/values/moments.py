"""The earlier and the later of two times, of which each may be unknown."""

from __future__ import annotations

from datetime import UTC, datetime

#: Sorts before every known time, in the place of an unknown one.
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def latest(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later time; None if neither is known."""
    return max(one, other) if one is not None and other is not None else one or other


def earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the earlier time; None if neither is known."""
    return min(one, other) if one is not None and other is not None else one or other
