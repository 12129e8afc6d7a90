"""The mood of a greeting."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.core.sending.greeting import Mood, mood


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-03-02T05:59", "plain"),
        ("2026-03-02T06:00", "morning"),
        ("2026-03-02T08:59", "morning"),
        ("2026-03-02T09:00", "plain"),
        ("2026-03-06T07:00", "weekend"),
        ("2026-12-01T12:00", "christmas"),
        ("2026-12-04T07:00", "christmas"),
        ("2026-12-24T23:59", "christmas"),
        ("2026-12-25T12:00", "weekend"),
    ],
)
def test_moods(local: str, expected: Mood) -> None:
    """Christmas takes precedence over the weekend, and the weekend over the morning."""
    assert mood(datetime.fromisoformat(local).replace(tzinfo=UTC)) == expected
