"""The layout of a templates folder: `flows/<group>/<flow>/`, `shared/` and `copy/`.

A group is only a place for people to find flows. The name of a flow is the name of its folder, without the group: customers' state refers to it.
"""

from __future__ import annotations

from pathlib import Path

FLOWS = "flows"
SHARED = "shared"
COPY = "copy"


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in `folder` by name, without hidden ones.

    Raises:
        OSError: `folder` is not a folder, or cannot be read.
    """
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def flow_folders(templates_dir: Path) -> dict[str, Path]:
    """Return the folder of each flow below `templates_dir` by the flow's name, in the order of the names.

    The result is empty if there is no folder `flows`. Of two folders with the same name, the one in the first group by name counts; the loader
    reports the other as an error.

    Raises:
        OSError: a folder cannot be read.
    """
    flows = templates_dir / FLOWS
    found: dict[str, Path] = {}
    for group in subfolders(flows) if flows.is_dir() else []:
        for folder in subfolders(group):
            found.setdefault(folder.name, folder)
    return dict(sorted(found.items()))
