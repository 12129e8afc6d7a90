"""Dates that the customer removed: the same day does not return, another one does, in whatever order two states are merged."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import permutations

from streams.core.model.removed_dates import MOST, after_answer, is_removed, merge_dates
from streams.core.model.traits import ImportantDate

AT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
MAY, JUNE = date(1984, 5, 1), date(1984, 6, 2)
REMOVED = after_answer(b"", MAY, AT, None, AT + HOUR)


def test_a_removed_day() -> None:
    """Only the day that was removed is known as such, and the customer can state it again."""
    assert is_removed(REMOVED, MAY)
    assert not is_removed(REMOVED, JUNE)
    assert not is_removed(REMOVED, None)
    assert after_answer(REMOVED, None, AT + HOUR, MAY, AT + 2 * HOUR) == b""


def test_older_answers() -> None:
    """An answer that is older than the stored day removes nothing and allows nothing; at the same time the day counts."""
    assert after_answer(b"", MAY, AT + HOUR, None, AT) == b""
    assert after_answer(b"", MAY, AT, None, AT) == b""
    assert after_answer(REMOVED, None, AT + HOUR, MAY, AT) == REMOVED
    assert after_answer(b"", None, None, None, AT) == b""


def test_removed_days_are_bounded() -> None:
    """The newest removed days are remembered."""
    row = b""
    for day in range(1, MOST + 3):
        row = after_answer(row, date(1984, 5, day), AT, None, AT + HOUR)
    assert [is_removed(row, date(1984, 5, day)) for day in range(1, MOST + 3)] == [False] * 2 + [True] * MOST


def test_the_same_day_and_another_one() -> None:
    """The removed day is not stored however new it is, and a newer other day is, with what the customer removed."""
    stored = (ImportantDate("wedding", None, AT + HOUR, REMOVED),)
    assert merge_dates(stored, [ImportantDate("wedding", MAY, AT + 9 * HOUR)], 10) == (stored, 0)
    dates, _ = merge_dates(stored, [ImportantDate("wedding", JUNE, AT + 2 * HOUR)], 10)
    assert dates == (ImportantDate("wedding", JUNE, AT + 2 * HOUR, REMOVED),)
    assert merge_dates(dates, [ImportantDate("wedding", MAY, AT + 9 * HOUR)], 10) == (dates, 0)


def test_two_states() -> None:
    """A day that one of two customer ids removed is removed for both, whichever is merged into the other."""
    states = [
        ImportantDate("wedding", MAY, AT + 5 * HOUR),
        ImportantDate("wedding", None, AT + HOUR, REMOVED),
        ImportantDate("wedding", JUNE, AT, REMOVED),
    ]
    for order in permutations(states[:2]):
        dates, _ = merge_dates(order[:1], order[1:], 10)
        assert dates == (states[1],)
    for order in permutations([states[0], states[2]]):
        dates, _ = merge_dates(order[:1], order[1:], 10)
        assert dates == (states[2],)
    both = [states[0], ImportantDate("wedding", MAY, AT, REMOVED)]
    for order in permutations(both):
        dates, _ = merge_dates(order[:1], order[1:], 10)
        assert [(each.value, each.removed) for each in dates] == [(None, REMOVED)]
