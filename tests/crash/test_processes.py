"""The campaign's cut, first half: processes that die at every named edge, or anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.cut import hold


@pytest.mark.parametrize("name", ["worker edges, disk kept", "random kill -9"])
def test_nothing_is_lost_or_doubled(name: str, tmp_path: Path) -> None:
    """Whatever dies, inbox, outputs and state are what the input makes."""
    hold(name, tmp_path)
