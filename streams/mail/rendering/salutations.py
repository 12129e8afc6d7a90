"""The greeting and the closing of an email: by occasion, season, weekday and time of day, in the words of the copy."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from streams.core.sending.greeting import MOODS, MORNING
from streams.mail.rendering.occasions import Occasions

#: The words that each language needs. On Fridays and in December, the greeting is that of the time of day unless the copy has another.
GREETINGS = ("greeting.plain", "greeting.morning")
CLOSINGS = tuple(f"closing.{mood}" for mood in MOODS)


def words_of(mood: str) -> tuple[str, str]:
    """Return the keys of the greeting and the closing for a mood."""
    return f"greeting.{mood}", f"closing.{mood}"


def moods_of(context: Mapping[str, Any], occasions: Occasions, country: str) -> tuple[str, ...]:
    """Return the moods of an email, the one whose words count most first: an occasion of the shop, the season or the weekday, the time of day.

    Args:
        context: the data of the email.
        occasions: those of the shop.
        country: the customer's country.
    """
    local_time, mood = context.get("local_time"), context.get("mood")
    moods = [str(mood)] if mood and mood != "plain" else []
    if isinstance(local_time, str):
        if local_time[11:13] in MORNING:
            moods.append("morning")
        if occasion := occasions.name_at(local_time[:10], country):
            moods.insert(0, occasion)
    return (*moods, "plain")


def key_of(kind: str, moods: tuple[str, ...], copy: Container[str]) -> str:
    """Return the key of the words for the first mood that the copy has words for; that of the last mood if it has none.

    Args:
        kind: `greeting` or `closing`.
        moods: the moods, see `moods_of`.
        copy: the keys of the copy.
    """
    keys = [f"{kind}.{mood}" for mood in moods]
    return next((key for key in keys if key in copy), keys[-1])
