"""What `make test` has time for of the campaign: any process dies, anywhere."""

from __future__ import annotations

from pathlib import Path

from tests.crash.__main__ import play, table
from tests.crash.cells import CELLS
from tests.crash.scene import SEED

#: The campaign itself has ten minutes of them.
SECONDS = 15.0


def test_random_kills(tmp_path: Path) -> None:
    """Whatever dies, nothing is lost or doubled, and outputs and state are what the input makes."""
    cell = next(cell for cell in CELLS if cell.name == "random kill -9")
    row = play(cell, SEED, SECONDS, tmp_path / "town")
    print(table([row]))
    assert row.is_good, f"seed {row.seed}: {row.lost} lost, {row.duplicated} doubled, {row.problems}"
    assert row.kills > 0, "nothing was killed"
