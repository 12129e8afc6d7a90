"""The occasions of a shop: their days, and the greeting and the closing that an email gets."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.mail.rendering.occasions import (
    Day,
    Occasion,
    Occasions,
    easter_sunday,
    parse_day,
    parse_occasions,
    read_occasions,
)
from streams.mail.rendering.salutations import key_of, moods_of
from tests.harness.commands import TEMPLATES
from tests.harness.examples import examples

ALL = parse_occasions(
    """
occasions:
  new-year: {from: 12-27, to: 01-02}
  easter: {from: easter-3, to: easter+1}
  mothers-day: {from: 05-08, to: 05-14, on: [sun], countries: [DK, NO]}
  jubilee: {from: 2027-02-28, to: 2027-03-01}
  leap-day: {from: 02-29}
"""
)


@pytest.mark.parametrize(
    ("day", "country", "expected"),
    [
        ("2026-12-26", "DK", ""),
        ("2026-12-27", "DK", "new-year"),
        ("2027-01-02", "DK", "new-year"),
        ("2027-01-03", "DK", ""),
        ("2026-04-01", "SE", ""),
        ("2026-04-02", "SE", "easter"),
        ("2026-04-06", "SE", "easter"),
        ("2026-04-07", "SE", ""),
        ("2026-05-10", "NO", "mothers-day"),
        ("2026-05-10", "SE", ""),
        ("2026-05-11", "NO", ""),
        ("2027-02-28", "DK", "jubilee"),
        ("2028-02-28", "DK", ""),
        ("2028-02-29", "DK", "leap-day"),
        ("2026-02-28", "DK", "leap-day"),
        ("0001-01-01", "DK", ""),
        ("9999-12-31", "DK", ""),
        ("tomorrow", "DK", ""),
        (None, "DK", ""),
    ],
)
def test_days(day: object, country: str, expected: str) -> None:
    """An occasion includes its first and its last day, may pass over New Year, and keeps to its weekdays and countries."""
    assert ALL.name_at(day, country) == expected
    assert ALL.name_at(day, country) == expected  # as it is remembered


@pytest.mark.parametrize(
    "day",
    ["1818-03-22", "1943-04-25", "1961-04-02", "2000-04-23", "2024-03-31", "2025-04-20", "2026-04-05", "2038-04-25"],
)
def test_easter(day: str) -> None:
    """Easter Sunday is that of the church, also on the earliest and the latest day."""
    assert easter_sunday(int(day[:4])).isoformat() == day


@given(st.integers(1583, 4099))
@settings(max_examples=examples(200))
def test_easter_of_any_year(year: int) -> None:
    """Easter is a Sunday from 22 March to 25 April."""
    day = easter_sunday(year)
    assert day.weekday() == 6
    assert date(year, 3, 22) <= day <= date(year, 4, 25)


@given(st.dates(date(1900, 1, 1), date(2200, 12, 31)), st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=examples(200))
def test_each_day_of_a_span_is_included(day: date, before: int, after: int) -> None:
    """A day is included in every yearly span around it, whichever year it begins in."""
    first, last = day - timedelta(days=before), day + timedelta(days=after)
    span = Occasion("span", Day(0, first.month, first.day), Day(0, last.month, last.day))
    assert span.includes(day, "DK")
    outside = last + timedelta(days=2)
    assert not Occasion("span", span.first, span.last, countries=frozenset(("SE",))).includes(day, "DK")
    assert not span.includes(outside, "DK") or before + after > 360


@given(st.text(max_size=12))
@settings(max_examples=examples(200))
def test_any_text_is_a_day_or_none(text: str) -> None:
    """No text raises an error, neither as a day nor as the day of a record."""
    parse_day(text)
    ALL.name_at(text, "DK")


def test_invalid_occasions_are_left_out(tmp_path: Path) -> None:
    """Mailers read what is valid; a file that cannot be read has no occasions, and neither has a folder without one."""
    text = "occasions:\n  a: {from: 13-01}\n  b: {from: 12-01, to: easter}\n  c: {from: 12-01}\n  d: [1]\n"
    assert parse_occasions(text).names == ("c",)
    assert read_occasions(tmp_path).names == ()
    for content in (b"\xff", b"occasions: [", b"[" * 5_000, b"[]", b""):
        (tmp_path / "occasions.yaml").write_bytes(content)
        assert read_occasions(tmp_path).names == ()


def test_shipped_occasions() -> None:
    """The templates wish a happy new year after Christmas."""
    assert read_occasions(TEMPLATES).name_at("2026-12-28", "DK") == "new-year"
    assert read_occasions(TEMPLATES).name_at("2026-12-24", "DK") == ""


@pytest.mark.parametrize(
    ("mood", "local_time", "greeting", "closing"),
    [
        ("plain", "2026-03-02T12:00", "greeting.plain", "closing.plain"),
        ("morning", "2026-03-02T06:00", "greeting.morning", "closing.morning"),
        ("weekend", "2026-03-06T08:59", "greeting.morning", "closing.weekend"),
        ("weekend", "2026-03-06T09:00", "greeting.plain", "closing.weekend"),
        ("christmas", "2026-12-04T07:00", "greeting.morning", "closing.christmas"),
        ("plain", "2026-12-28T07:00", "greeting.morning", "closing.new-year"),
        ("plain", "2026-12-28T12:00", "greeting.plain", "closing.new-year"),
        ("weekend", "2026-04-03T12:00", "greeting.easter", "closing.weekend"),
        ("weekend", None, "greeting.plain", "closing.weekend"),
        ("of a newer version", "2026-03-02T12:00", "greeting.plain", "closing.plain"),
        (None, 12, "greeting.plain", "closing.plain"),
    ],
)
def test_words(mood: object, local_time: object, greeting: str, closing: str) -> None:
    """The greeting follows the clock and the closing the day; an occasion comes first, with the words that it has."""
    copy = {
        "greeting.plain", "greeting.morning", "greeting.easter",
        "closing.plain", "closing.morning", "closing.weekend", "closing.christmas", "closing.new-year",
    }  # fmt: skip
    moods = moods_of({"mood": mood, "local_time": local_time}, ALL, "DK")
    assert (key_of("greeting", moods, copy), key_of("closing", moods, copy)) == (greeting, closing)
    assert (key_of("greeting", moods, ()), key_of("closing", moods, ())) == ("greeting.plain", "closing.plain")


def test_no_occasions() -> None:
    """A shop without occasions has none on any day."""
    assert Occasions().name_at("2026-12-28", "DK") == ""
