"""The campaign's cut, second half: the mailer at every edge, zombies, and a broker that dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.cut import hold


@pytest.mark.parametrize("name", ["mailer edges, disk kept", "zombies", "broker restarted"])
def test_nothing_is_lost_or_doubled(name: str, tmp_path: Path) -> None:
    """Whatever dies or stands still, inbox, outputs and state are what the input makes."""
    hold(name, tmp_path)
