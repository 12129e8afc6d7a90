"""The setting of the topics' retention."""

from __future__ import annotations

#: The longest retention in days that can be set.
LONGEST_DAYS = 3650


def days_by_topic(text: str) -> dict[str, int]:
    """Return the days of `orders=400,dead-letters=14` by topic.

    Raises:
        ValueError: an entry is not a topic with a whole number of days, 1 to 3650, or a topic has two entries.
    """
    days: dict[str, int] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        topic, _, number = (part.strip() for part in entry.partition("="))
        is_number = number.isascii() and number.isdecimal() and len(number) <= 4 and 1 <= int(number) <= LONGEST_DAYS
        if not topic or not is_number or topic in days:
            raise ValueError(
                f"not a valid retention: {entry!r} (use for example orders=400,dead-letters=14: days from 1 to {LONGEST_DAYS}, each topic once)"
            )
        days[topic] = int(number)
    return days
