"""The meaning of a problem id."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """The meaning of an id: a title, why it is a problem, and an example of valid text, or what to do."""

    title: str
    explanation: str
    fix: str
