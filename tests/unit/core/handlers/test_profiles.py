"""Profiles: which value of each field counts."""

from __future__ import annotations

from datetime import date, timedelta
from functools import reduce
from itertools import permutations

from msgspec.structs import replace

from streams.core.handlers.profiles import merge_profile
from streams.core.model.customer import Profile
from streams.core.model.removed_dates import after_answer
from tests.harness.driver import START

HOUR = timedelta(hours=1)


def test_newer_values_win() -> None:
    """Values of the newer profile replace older ones, and the older profile fills the gaps."""
    older = Profile("old@example.com", "Åsa", "sv", "SE", "Europe/Stockholm", START, date(1984, 5, 1), "kvinna")
    newer = Profile("new@example.com", "", "", "NO", None, START + HOUR)
    merged = Profile(
        "new@example.com",
        "Åsa",
        "sv",
        "NO",
        "Europe/Stockholm",
        START + HOUR,
        date(1984, 5, 1),
        "kvinna",
        birthday_at=START,
    )
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


def test_the_newest_statement_of_a_birthday_counts() -> None:
    """A birthday and its removal count by their own times, in every order and with an order in between; at the same time the day counts."""
    first, second = date(1984, 5, 1), date(1985, 6, 2)
    given = Profile("a@example.com", at=START, birthday=first, birthday_at=START)
    removed = Profile(at=START + HOUR, birthday_at=START + HOUR)
    again = Profile(at=START + 2 * HOUR, birthday=second, birthday_at=START + 2 * HOUR)
    order = Profile("a@example.com", "Åsa", at=START + 5 * HOUR)
    at_once = Profile(at=START + HOUR, birthday=second, birthday_at=START + HOUR)
    cases = [
        ((given, removed, order), None),
        ((given, removed, again, order), second),
        ((removed, at_once, given), second),
        ((given, order), first),
    ]
    for statements, expected in cases:
        for ordered in permutations(statements):
            merged = reduce(merge_profile, ordered, Profile())
            assert (merged.birthday, merged.email) == (expected, given.email), ordered


def test_birthday_of_an_older_program() -> None:
    """A stored birthday without a time is as new as its profile: a newer removal takes it away, and an older one does not."""
    stored = Profile("a@example.com", at=START + HOUR, birthday=date(1984, 5, 1))
    assert merge_profile(stored, Profile(at=START + 2 * HOUR, birthday_at=START + 2 * HOUR)).birthday is None
    assert merge_profile(stored, Profile(at=START, birthday_at=START)).birthday == stored.birthday


def test_a_birthday_that_the_customer_removed() -> None:
    """The same birthday does not return in a newer profile, and not in a merge; another one counts."""
    day, other = date(1984, 5, 1), date(1985, 6, 2)
    row = after_answer(b"", day, START, None, START + HOUR)
    removed = Profile(at=START + HOUR, birthday_at=START + HOUR, removed_birthdays=row)
    same = Profile(at=START + 5 * HOUR, birthday=day, birthday_at=START + 5 * HOUR)
    for order in ((removed, same), (same, removed)):
        merged = merge_profile(*order)
        assert (merged.birthday, merged.birthday_at, merged.removed_birthdays) == (None, START + HOUR, row)
    newer = merge_profile(removed, Profile(at=START + 5 * HOUR, birthday=other, birthday_at=START + 5 * HOUR))
    assert newer.birthday == other
    assert merge_profile(newer, replace(same, birthday_at=START + 9 * HOUR)).birthday == other
