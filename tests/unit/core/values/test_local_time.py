"""Time zones, scaled times, and the text of a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from streams.core.values.local_time import COUNTRY_ZONES, local_zone, scale_deadline, text_of, zone


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_zones() -> None:
    """The customer's own zone, else the country's, else the shop's; nonsense from outside is no zone."""
    assert local_zone("America/New_York", "DK", "Europe/Oslo").key == "America/New_York"
    assert local_zone("../etc/passwd", "SE", "Europe/Oslo").key == "Europe/Stockholm"
    assert local_zone(None, "XX", "Europe/Oslo").key == "Europe/Oslo"
    assert zone("Europe") is None
    assert all(zone(name) for name in COUNTRY_ZONES.values())


def test_scaled() -> None:
    """A day in a second, on a whole millisecond, rounded up: what the wire cannot carry would never be found again."""
    start = utc("2026-03-02T09:00:00.000400")
    assert scale_deadline(start, start + timedelta(days=2), 1 / 86_400) == utc("2026-03-02T09:00:02.001")
    assert scale_deadline(start, start + timedelta(days=2), 1.0) == utc("2026-03-04T09:00:00.001")


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_text_of_a_moment_is_that_of_isoformat(moment: datetime) -> None:
    """Ids are made of it: a letter that differs would send a mail again."""
    assert text_of(moment) == moment.isoformat()
    assert text_of(moment.replace(microsecond=0)) == moment.replace(microsecond=0).isoformat()
