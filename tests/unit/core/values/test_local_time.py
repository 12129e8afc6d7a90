"""Time zones, scaled times, and the text of a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.values.country_zones import COUNTRY_ZONES
from streams.core.values.local_time import local_zone, next_scaled_day, scale_deadline, scaled_day, text_of, zone


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_zones() -> None:
    """The customer's time zone counts, else that of the country, else the shop's; invalid names are ignored."""
    assert local_zone("America/New_York", "DK", "Europe/Oslo").key == "America/New_York"
    assert local_zone("../etc/passwd", "SE", "Europe/Oslo").key == "Europe/Stockholm"
    assert local_zone(None, "XX", "Europe/Oslo").key == "Europe/Oslo"
    assert zone("Europe") is None
    assert all(zone(name) for name in COUNTRY_ZONES.values())


def table(name: str) -> list[list[str]]:
    """Return the rows of a table of the time zone database."""
    text = (files("tzdata") / "zoneinfo" / name).read_text(encoding="utf-8")
    return [row.split("\t") for row in text.splitlines() if not row.startswith("#")]


def test_every_country_has_a_zone() -> None:
    """Each country of ISO 3166-1 has one of its own zones; the two without inhabitants have a neighbour's."""
    zones: dict[str, set[str]] = {}
    for country, _, name, *_ in table("zone.tab"):
        zones.setdefault(country, set()).add(name)
    for country in [row[0] for row in table("iso3166.tab")]:
        assert COUNTRY_ZONES[country] in zones.get(country, {"Europe/Oslo", "Indian/Kerguelen"}), country


@pytest.mark.parametrize(
    ("country", "expected"),
    [
        ("TW", "Asia/Taipei"),
        ("TH", "Asia/Bangkok"),
        ("AE", "Asia/Dubai"),
        ("CO", "America/Bogota"),
        ("RU", "Europe/Moscow"),
        ("ID", "Asia/Jakarta"),
        ("KZ", "Asia/Almaty"),
        ("UZ", "Asia/Tashkent"),
        ("CD", "Africa/Kinshasa"),
        ("PT", "Europe/Lisbon"),
        ("XK", "Europe/Belgrade"),
    ],
)
def test_a_country_has_its_most_populous_zone(country: str, expected: str) -> None:
    """Quiet hours in a country with several zones follow the one where most people live."""
    assert local_zone(None, country, "Europe/Copenhagen").key == expected


def test_scaled_deadlines() -> None:
    """A deadline is rounded up to a millisecond, since the wire has no smaller unit."""
    start = utc("2026-03-02T09:00:00.000400")
    assert scale_deadline(start, start + timedelta(days=2), 1 / 86_400) == utc("2026-03-02T09:00:02.001")
    assert scale_deadline(start, start + timedelta(days=2), 1.0) == utc("2026-03-04T09:00:00.001")


@given(
    st.dates(),
    st.integers(1_000_000_000, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds + 0.0001, UTC)),
    st.integers(0, 60),
    st.sampled_from((1e-9, 0.3 / 86_400, 1 / 86_400, 0.7)),
)
def test_days_in_scaled_time(day: date, after: datetime, days_before: int, day_scale: float) -> None:
    """The next begin is later than the time asked about, within a scaled year, and the same until it has come."""
    year = timedelta(milliseconds=max(1, round(365 * 86_400_000 * day_scale)))
    begin = next_scaled_day(scaled_day(day, day_scale), after, days_before, day_scale)
    assert after < begin <= after + year
    assert next_scaled_day(scaled_day(day, day_scale), begin - timedelta.resolution, days_before, day_scale) == begin
    assert next_scaled_day(scaled_day(day, day_scale), begin, days_before, day_scale) == begin + year


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_text_of_a_time_equals_isoformat(at: datetime) -> None:
    """Ids contain this text: a different one would send an email twice."""
    assert text_of(at) == at.isoformat()
    assert text_of(at.replace(microsecond=0)) == at.replace(microsecond=0).isoformat()
