"""The mood of an email's greeting, by the customer's clock and calendar. The words are in `templates/copy/`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias, get_args

Mood: TypeAlias = Literal["plain", "morning", "weekend", "christmas"]
MOODS: tuple[Mood, ...] = get_args(Mood)
_FRIDAY, _DECEMBER, _CHRISTMAS_EVE = 4, 12, 24
_MORNING = range(6, 9)
#: The hours of the morning as in a local time, two digits each.
MORNING = frozenset(f"{hour:02}" for hour in _MORNING)


def mood(local: datetime) -> Mood:
    """Return the mood at `local`, a time in the customer's time zone.

    1 to 24 December takes precedence over Friday, and Friday over the morning (06:00 to 08:59).
    """
    if local.month == _DECEMBER and local.day <= _CHRISTMAS_EVE:
        return "christmas"
    if local.weekday() == _FRIDAY:
        return "weekend"
    return "morning" if local.hour in _MORNING else "plain"
