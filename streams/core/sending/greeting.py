"""The mood in which an email greets its customer, by the customer's clock and calendar. The words are in the copy: `templates/copy/`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias, get_args

Mood: TypeAlias = Literal["plain", "morning", "weekend", "christmas"]
MOODS: tuple[Mood, ...] = get_args(Mood)
_FRIDAY, _DECEMBER, _CHRISTMAS_EVE = 4, 12, 24
_MORNING = range(6, 9)
_LONGEST_NAME = 40


def first_name(name: str) -> str:
    """The first of the names, without control characters, shortened; "" if there is none. "Hansen, Anna" is Anna."""
    family, comma, given = name.partition(",")
    words = (given if comma and given.strip() else family).split()
    if not words:
        return ""
    first = words[0] if words[0].isprintable() else "".join([letter for letter in words[0] if letter.isprintable()])
    return first[:_LONGEST_NAME]


def mood(moment: datetime) -> Mood:
    """Return the mood at `moment`, which is in the customer's own time zone.

    1 to 24 December takes precedence over Friday, and Friday over the morning (06:00 to 08:59).
    """
    if moment.month == _DECEMBER and moment.day <= _CHRISTMAS_EVE:
        return "christmas"
    if moment.weekday() == _FRIDAY:
        return "weekend"
    return "morning" if moment.hour in _MORNING else "plain"
