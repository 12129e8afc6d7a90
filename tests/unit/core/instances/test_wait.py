"""When waits end: time zones, weekdays, and the two nights of a clock change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from streams.core.instances.steps.wait import Wait, due

CPH = ZoneInfo("Europe/Copenhagen")


def utc(text: str) -> datetime:
    """Return a time from ISO 8601 text without a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("wait", "start", "end"),
    [
        (Wait(path="0", days=2), "2026-03-02T09:00", "2026-03-04T09:00"),
        (Wait(path="0", more=timedelta(hours=5)), "2026-03-02T09:00", "2026-03-02T14:00"),
        (Wait(path="0", days=2, at=time(10)), "2026-03-02T08:00", "2026-03-04T09:00"),
        (Wait(path="0", days=2, at=time(10)), "2026-03-02T15:00", "2026-03-05T09:00"),
        (Wait(path="0", at=time(10)), "2026-03-02T09:00", "2026-03-02T09:00"),
        (Wait(path="0", days=2, at=time(10), not_on=frozenset({5, 6})), "2026-03-05T08:00", "2026-03-09T09:00"),
        (Wait(path="0", days=1, not_on=frozenset({1})), "2026-03-02T08:30", "2026-03-04T08:30"),
        # On 29 March 2026 02:00 becomes 03:00: the local time stays the same, after one hour less.
        (Wait(path="0", days=1), "2026-03-28T09:00", "2026-03-29T08:00"),
        (Wait(path="0", at=time(2, 30)), "2026-03-28T12:00", "2026-03-29T01:30"),
        (Wait(path="0", days=1), "2026-03-28T01:30", "2026-03-29T01:30"),
        # On 25 October 2026 03:00 becomes 02:00, so 02:30 occurs twice.
        (Wait(path="0", at=time(2, 30)), "2026-10-24T12:00", "2026-10-25T00:30"),
        (Wait(path="0", at=time(2, 30)), "2026-10-25T00:45", "2026-10-25T01:30"),
        (Wait(path="0", days=1), "2026-10-24T09:00", "2026-10-25T10:00"),
        (Wait(path="0", days=365), "2028-02-29T09:00", "2029-02-28T09:00"),
    ],
)
def test_due(wait: Wait, start: str, end: str) -> None:
    """A wait ends at the local time in Copenhagen, and never before its span is over."""
    assert due(wait, utc(start), CPH) == utc(end)
