"""The campaign's cut: processes that die at every second named edge or anywhere, and a broker that dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.cut import hold

# One file, so that one cell plays at a time: two towns on two cores starve each other. The cells with sessions of a few seconds
# (zombies, scaling) are the campaign's alone: on a loaded machine a worker misses them without being stopped.
CUT = ("worker edges, disk kept", "random kill -9", "mailer edges, disk kept", "broker restarted")


@pytest.mark.parametrize("name", CUT)
def test_nothing_is_lost_or_doubled(name: str, tmp_path: Path) -> None:
    """Whatever dies, inbox, outputs and state are what the input makes."""
    hold(name, tmp_path)
