"""The campaign's cut: any process dies, anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.cut import hold

# What `make test` has time for; the edges are the campaign's, and so are cells with sessions of a few seconds
# (zombies, scaling): on a loaded machine a worker misses them without being stopped.
CUT = ("random kill -9",)


@pytest.mark.parametrize("name", CUT)
def test_nothing_is_lost_or_doubled(name: str, tmp_path: Path) -> None:
    """Whatever dies, inbox, outputs and state are what the input makes."""
    hold(name, tmp_path)
