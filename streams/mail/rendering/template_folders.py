"""The layout of a templates folder: `flows/<group>/<flow>/`, `shared/` and `copy/`.

A group is only a place for people to find flows. The name of a flow is the name of its folder, without the group: customers' state refers to it.
"""

from __future__ import annotations

from pathlib import Path

FLOWS = "flows"
SHARED = "shared"
COPY = "copy"
#: The folders in `shared` with the templates that emails use, besides `shared` itself.
_PARTS = (".", "blocks", "layouts")
#: The end of the name of a message's template.
MESSAGE = ".html.j2"


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


def message_names(folder: Path) -> list[str]:
    """Return the names of the messages in a flow's folder, sorted."""
    return sorted(file.name.removesuffix(MESSAGE) for file in folder.glob(f"*{MESSAGE}"))


def messages_by_flow(templates_dir: Path) -> dict[str, list[str]]:
    """Return the names of the messages of each flow, by the flow's name. No file is read.

    Raises:
        OSError: a folder cannot be read.
    """
    return {name: message_names(folder) for name, folder in flow_folders(templates_dir).items()}


def shared_templates(templates_dir: Path) -> list[Path]:
    """Return the templates that emails share: layouts and blocks, without those of the pages."""
    return sorted(path for part in _PARTS for path in (templates_dir / SHARED / part).glob("*.j2"))
