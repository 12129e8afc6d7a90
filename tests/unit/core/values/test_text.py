"""Texts: likely typos, and output that is safe for a terminal."""

from __future__ import annotations

import pytest

from streams.core.values.text import counted, edit_distance, plain, similar


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [("", "", 0), ("live", "live", 0), ("lve", "live", 1), ("vpi", "vip", 1), ("alive", "live", 1), ("sunday", "sun", 3), ("", "abc", 3)],
)  # fmt: skip
def test_edit_distance(left: str, right: str, distance: int) -> None:
    """Each insertion, removal, replacement and swap of neighbours counts once, in either direction."""
    assert edit_distance(left, right) == edit_distance(right, left) == distance


def test_similar() -> None:
    """The closest name counts if it is a likely typo; short words may differ by one edit only."""
    assert similar("order.plced", ("order.paid", "order.placed")) == "order.placed"
    assert similar("ask-frist", ("ask", "ask-first")) == "ask-first"
    assert similar("age", ("at", "on")) is None
    assert similar("anything", ()) is None


def test_plain() -> None:
    """A text becomes one line without control characters."""
    assert plain("a\nb\x1b[31m") == "a b\N{REPLACEMENT CHARACTER}[31m"


def test_counted() -> None:
    """A number has its noun in the singular or plural."""
    assert [counted(1, "day"), counted(2, "day"), counted(2, "person", "people")] == ["1 day", "2 days", "2 people"]
