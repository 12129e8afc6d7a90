"""Text: valid names, likely typos, counts with their noun, and output that is safe for a terminal."""

from __future__ import annotations

import re
from collections.abc import Collection

#: Names that users choose: lowercase letters, digits and dashes, starting with a letter.
NAME = re.compile(r"[a-z][a-z0-9-]{0,63}\Z")
_SHORT = 4  # characters up to which only one edit counts as a typo
_FEW = 20  # names that a hint lists although the word belongs to none of their groups

#: A name that a shop gives: of a customer's field, of a date, of an attribute.
FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


def plain(text: str) -> str:
    """Return `text` on one line, without characters that control a terminal or are invalid in XML."""
    return "".join(
        [char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}" for char in text]
    )


def edit_distance(left: str, right: str) -> int:
    """Return how many characters must be inserted, removed, replaced or swapped with their neighbour to turn `left` into `right`.

    Source: the optimal string alignment distance (Damerau 1964, restricted to one edit of each substring).
    """
    before: list[int] = []
    row = list(range(len(right) + 1))
    for number, letter in enumerate(left, 1):
        before, above, row = row, before, [number]
        for column, other in enumerate(right, 1):
            least = min(before[column] + 1, row[column - 1] + 1, before[column - 1] + (letter != other))
            if number > 1 and column > 1 and letter == right[column - 2] and left[number - 2] == other:
                least = min(least, above[column - 2] + 1)
            row.append(least)
    return row[-1]


def similar(word: str, known: Collection[str]) -> str | None:
    """Return the name in `known` of which `word` is likely a typo; None if there is no such name.

    A typo is an edit distance of 2 at most, or of 1 in words of up to four characters. A distance of 0 counts: upper case is ignored. Of two
    names in one group only the rest is a word: `order.tax` is not a typo of `order.tags`.
    """
    word = word.casefold()
    group, _, rest = word.partition(".")
    likely: list[tuple[int, str]] = []
    for name in known:
        other = name.casefold()
        is_in_group = bool(rest) and other.startswith(f"{group}.")
        most = 1 if len(rest if is_in_group else word) <= _SHORT else 2
        if abs(len(word) - len(other)) > most:
            continue  # each missing character is an edit
        distance = edit_distance(word, other)
        if distance <= most:
            likely.append((distance, name))
    return min(likely, key=lambda pair: pair[0])[1] if likely else None


def nearest(word: str, known: Collection[str], kind: str = "name") -> str:
    """Return a hint for an unknown word: the name that was likely meant, or the names that are known.

    Args:
        word: the unknown word.
        known: the known names. If they have groups (`order.placed`), only those of the word's group are listed. If it has none of these
            groups and there are many names, the hint lists the groups.
        kind: what the names are, for the list of a group.
    """
    meant = similar(word, known)
    if meant is not None:
        return f"did you mean {meant!r}?"
    group = word.partition(".")[0]
    of_group = [name for name in known if name.startswith(f"{group}.")]
    if of_group:
        return f"{group} {kind}s: {', '.join(of_group)}"
    groups = dict.fromkeys([name.partition(".")[0] + "." for name in known if "." in name])
    if len(known) > _FEW and groups:
        others = "".join([f", or are {name}" for name in known if "." not in name])
        return f"{kind}s start with {', '.join(groups)}{others}"
    return f"known: {', '.join(known) or 'none'}"


def thousandths_text(number: int) -> str:
    """Return a number of thousandths as a decimal number with a dot, and without zeros at its end: 500 is `0.5`, 2000 is `2`."""
    whole, rest = divmod(abs(number), 1000)
    text = f"{whole}.{rest:03}".rstrip("0").rstrip(".")
    return f"-{text}" if number < 0 else text


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, as in "1 day", "3 days" and "2 people".

    Args:
        number: how many there are.
        noun: the singular.
        plural: the plural, where it is not the singular and an "s".
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
