"""Suggestions, counts with a noun, and text that is safe to print."""

from __future__ import annotations

import pytest

from streams.core.values.text import NAME, counted, nearest, plain, similar


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("order.plced", "did you mean 'order.placed'?"),
        ("birthday", "known: order.placed, order.paid"),
    ],
)
def test_hints(word: str, hint: str) -> None:
    """A likely typo is corrected; for any other name all known names are listed."""
    assert nearest(word, ["order.placed", "order.paid"]) == hint


def test_without_known_names() -> None:
    """Without known names there is no suggestion."""
    assert similar("a", []) is None
    assert nearest("a", []) == "known: none"


def test_counts_have_the_right_noun() -> None:
    """One has the singular, all other numbers the plural."""
    assert [counted(number, "day") for number in (0, 1, 2)] == ["0 days", "1 day", "2 days"]
    assert [counted(number, "person", "people") for number in (1, 2)] == ["1 person", "2 people"]


def test_plain_text_has_one_line_and_no_control_characters() -> None:
    """Line breaks become spaces, control characters are replaced, and letters of any language stay."""
    assert plain("a\nb\tc") == "a b c"
    assert plain("\x1b[31mæ日") == "\N{REPLACEMENT CHARACTER}[31mæ日"


@pytest.mark.parametrize(
    ("name", "is_valid"), [("a", True), ("spring-10", True), ("", False), ("1a", False), ("A", False), ("a\n", False)]
)
def test_names(name: str, is_valid: bool) -> None:
    """A name has lowercase letters, digits and dashes, and starts with a letter."""
    assert (NAME.match(name) is not None) == is_valid
