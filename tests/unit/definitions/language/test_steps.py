"""Kinds of steps."""

from __future__ import annotations

from streams.definitions.language import keys
from streams.definitions.language.steps.kinds import KINDS


def test_every_kind_has_a_reader() -> None:
    """The keys of a step are those with a reader."""
    assert tuple(KINDS) == keys.STEP.known
