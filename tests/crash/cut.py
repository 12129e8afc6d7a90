"""A cell of the campaign as a test: the same cell, the same oracle, no shorter fuse."""

from __future__ import annotations

from pathlib import Path

from tests.crash.__main__ import play, table
from tests.crash.cells import CELLS
from tests.crash.scene import SEED

#: Seconds of random kills within `make test`; the campaign itself has ten minutes of them.
RANDOM_S = 30.0
#: Of the named edges (of cells that have them) every second is tried within `make test`; the campaign tries all.
STRIDE = 2


def hold(name: str, folder: Path) -> None:
    """Play the cell called `name`; nothing may be lost, doubled or different from the recomputation."""
    cell = next(cell for cell in CELLS if cell.name == name)
    row = play(cell, SEED, RANDOM_S, folder / "town", STRIDE)
    print(table([row]))
    assert row.is_good, f"seed {row.seed}: {row.lost} lost, {row.duplicated} doubled, {row.problems}"
    assert row.kills > 0, "nothing was killed"
