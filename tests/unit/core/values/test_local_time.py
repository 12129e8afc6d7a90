"""Time zones, scaled times, and the text of a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from streams.core.values.local_time import COUNTRY_ZONES, local_zone, scale_deadline, text_of, zone


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_zones() -> None:
    """The customer's time zone counts, else that of the country, else the shop's; invalid names are ignored."""
    assert local_zone("America/New_York", "DK", "Europe/Oslo").key == "America/New_York"
    assert local_zone("../etc/passwd", "SE", "Europe/Oslo").key == "Europe/Stockholm"
    assert local_zone(None, "XX", "Europe/Oslo").key == "Europe/Oslo"
    assert zone("Europe") is None
    assert all(zone(name) for name in COUNTRY_ZONES.values())


def test_scaled_deadlines() -> None:
    """A deadline is rounded up to a millisecond, since the wire has no smaller unit."""
    start = utc("2026-03-02T09:00:00.000400")
    assert scale_deadline(start, start + timedelta(days=2), 1 / 86_400) == utc("2026-03-02T09:00:02.001")
    assert scale_deadline(start, start + timedelta(days=2), 1.0) == utc("2026-03-04T09:00:00.001")


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_text_of_a_time_equals_isoformat(at: datetime) -> None:
    """Ids contain this text: a different one would send an email twice."""
    assert text_of(at) == at.isoformat()
    assert text_of(at.replace(microsecond=0)) == at.replace(microsecond=0).isoformat()
