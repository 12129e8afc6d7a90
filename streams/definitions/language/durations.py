"""Durations in plain English."""

from __future__ import annotations

from datetime import timedelta

from streams.core.values.text import counted

_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def duration_text(length: timedelta) -> str:
    """Return a duration in the largest unit that divides it: 2 weeks, 36 hours."""
    seconds = round(length.total_seconds())
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds and seconds % size == 0), _UNITS[-1])
    return counted(seconds // size, unit)
