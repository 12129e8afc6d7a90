"""Text: names, suggestions for mistyped ones, counts with their noun, and words that are safe to print."""

from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches

#: A name that writers of flows choose themselves: of a flow, a pool or a segment.
NAME = re.compile(r"[a-z][a-z0-9-]{0,63}\Z")
_SIMILARITY = 0.65


def similar(word: str, known: Collection[str]) -> str | None:
    """Return the name in `known` that `word` probably means, or None if none is similar enough."""
    matches = get_close_matches(word, known, 1, _SIMILARITY)
    return matches[0] if matches else None


def nearest(word: str, known: Collection[str]) -> str:
    """Return a hint for the unknown name `word`: the name that it probably means, or all of `known`."""
    match = similar(word, known)
    return f"did you mean {match!r}?" if match is not None else f"known: {', '.join(known) or 'none'}"


def plain(text: str) -> str:
    """Return `text` on one line, without characters that control a terminal or that XML does not allow."""
    return "".join(
        [char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}" for char in text]
    )


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, as in "1 day", "3 days" and "2 people".

    Args:
        number: how many there are.
        noun: the singular.
        plural: the plural, where it is not the singular and an "s".
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
