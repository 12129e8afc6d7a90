"""Profiles: which value of each field counts."""

from __future__ import annotations

from datetime import date, timedelta

from streams.core.handlers.profiles import merge_profile
from streams.core.model.customer import Profile
from tests.harness.driver import START

HOUR = timedelta(hours=1)


def test_newer_values_win() -> None:
    """Values of the newer profile replace older ones, and the older profile fills the gaps."""
    older = Profile("old@example.com", "Åsa", "sv", "SE", "Europe/Stockholm", START, date(1984, 5, 1), "kvinna")
    newer = Profile("new@example.com", "", "", "NO", None, START + HOUR)
    merged = Profile("new@example.com", "Åsa", "sv", "NO", "Europe/Stockholm", START + HOUR, date(1984, 5, 1), "kvinna")
    assert merge_profile(older, newer) == merged
    assert merge_profile(newer, older) == merged


def test_update_at_the_same_time() -> None:
    """Of two profiles of the same time the update counts as newer."""
    stored, update = Profile("a@example.com", at=START), Profile("b@example.com", at=START)
    assert merge_profile(stored, update).email == "b@example.com"


def test_first_update() -> None:
    """A profile without a time takes every value of the update."""
    update = Profile("a@example.com", "Åsa", at=START)
    assert merge_profile(Profile(), update) == update
