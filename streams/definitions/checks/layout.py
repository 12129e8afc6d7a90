"""Checks the layout of a templates folder: which files and folders are in the wrong place, and where they belong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streams.definitions.problems import Problem
from streams.mail.rendering.template_folders import FLOWS, SHARED, flow_folders, subfolders

FLOW = "flow.yaml"
#: The names under which older versions of a flow are kept, and those that are only nearly right.
ANY_KEPT = "flow.*.yaml"
_HOME = f"{FLOWS}/<group>/<flow>"
_GROUPS = "groups are for example transactional, care, asking, selling and loyalty"


def layout_problems(root: Path) -> Iterator[Problem]:
    """Yield everything that is in the wrong place below `root`, which must be a folder.

    A folder in the layout of earlier versions, with the flows at its top, is one problem. It names everything that has to move.

    Raises:
        OSError: a folder cannot be read.
    """
    yield from old_layout(root)
    for path in (root / FLOW, root / FLOWS / FLOW):
        if path.is_file():
            yield Problem("files.E006", "the flow has no folder of its own", f"move its files to {_HOME}").in_file(path)
    if not (root / FLOWS).is_dir():
        return
    used = flow_folders(root)
    for group in subfolders(root / FLOWS):
        if _holds_flow(group):
            message = f"flow {group.name!r} is not in a group"
            hint = f"move the folder to {FLOWS}/<group>/{group.name}"
            yield Problem("files.E007", message, hint).in_file(_file_of(group))
            continue
        for folder in subfolders(group):
            if not _holds_flow(folder):
                yield Problem("files.E008", f"missing file {FLOW}", "add it, or remove the folder").in_file(
                    folder / FLOW
                )
            elif (first := used[folder.name]) != folder:
                names = f"{FLOWS}/{first.parent.name}/{first.name} and {FLOWS}/{group.name}/{folder.name}"
                message = f"duplicate flow name {folder.name!r}: {names}"
                hint = "rename one folder and the flow in it, or remove it"
                yield Problem("files.E009", message, hint).in_file(_file_of(folder))


def old_layout(root: Path) -> Iterator[Problem]:
    """Yield one problem if flows or shared templates are at the top of `root`, as in earlier versions.

    Raises:
        OSError: `root` is not a folder, or cannot be read.
    """
    flows = [folder.name for folder in subfolders(root) if folder.name != FLOWS and _holds_flow(folder)]
    shared = sorted(path.name for path in root.iterdir() if path.name.endswith(".j2") or path.name == "style.css")
    steps = [f"move {', '.join(flows)} to {FLOWS}/<group>/ ({_GROUPS})"] if flows else []
    if shared:
        steps.append(f"move {', '.join(shared)} to {SHARED}/")
        steps += [f'name them in templates as "{SHARED}/{name}"' for name in shared if name.endswith(".j2")][:1]
    if steps:
        message = "flows or shared templates are at the top of the folder, as in earlier versions"
        yield Problem("files.E005", message, ", and ".join(steps)).in_file(root)


def version_file(version: int | str) -> str:
    """Return the name of the file that keeps an older version of a flow."""
    return f"flow.v{version}.yaml"


def _holds_flow(folder: Path) -> bool:
    return (folder / FLOW).is_file() or any(folder.glob(ANY_KEPT))


def _file_of(folder: Path) -> Path:
    """Return the flow's file in `folder`; an older version of it if there is no other."""
    path = folder / FLOW
    return path if path.is_file() else min(folder.glob(ANY_KEPT))
