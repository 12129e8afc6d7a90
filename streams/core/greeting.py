"""How a mail says hello: by the language, and by the hour and the day of the moment it speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, TypeAlias

_Mood: TypeAlias = Literal["plain", "morning", "weekend", "christmas"]
_WORDS: Mapping[str, Mapping[_Mood, str]] = MappingProxyType(
    {
        "da": {"plain": "Hej", "morning": "Godmorgen", "weekend": "God weekend", "christmas": "God jul"},
        "en": {
            "plain": "Hi",
            "morning": "Good morning",
            "weekend": "Have a great weekend",
            "christmas": "Merry Christmas",
        },
    }
)
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


def language(locale: str) -> str:
    """The language of a BCP 47 locale that there are words for; English for all others."""
    spoken = locale[:2].lower()
    return spoken if spoken in _WORDS else "en"


def greeting(first: str, locale: str, moment: datetime) -> str:
    """The greeting by the first name (may be "") for `moment`, which is in the customer's own time zone.

    1 to 24 December wins over Friday, Friday over the morning (06:00 to 08:59).
    """
    mood: _Mood = "plain"
    if moment.month == _DECEMBER and moment.day <= _CHRISTMAS_EVE:
        mood = "christmas"
    elif moment.weekday() == _FRIDAY:
        mood = "weekend"
    elif moment.hour in _MORNING:
        mood = "morning"
    words = _WORDS[language(locale)][mood]
    return f"{words} {first}" if first else words
