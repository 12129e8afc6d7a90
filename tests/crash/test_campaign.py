"""The campaign's cut: a flows worker that dies at every second named edge, and any process that dies anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.cut import hold

# What `make test` has time for. The cells with sessions of a few seconds
# (zombies, scaling) are the campaign's alone: on a loaded machine a worker misses them without being stopped.
CUT = ("worker edges, disk kept", "random kill -9")


@pytest.mark.parametrize("name", CUT)
def test_nothing_is_lost_or_doubled(name: str, tmp_path: Path) -> None:
    """Whatever dies, inbox, outputs and state are what the input makes."""
    hold(name, tmp_path)
