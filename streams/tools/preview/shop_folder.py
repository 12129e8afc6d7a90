"""A templates folder of a shop's own, outside of this repository."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from streams.core.values.text import nearest
from streams.definitions.checks.layout import ANY_KEPT, FLOW
from streams.definitions.layers import MARKER, SEGMENTS, read_snapshot
from streams.mail.rendering.languages import LANGUAGES_FILE, is_language
from streams.mail.rendering.occasions import OCCASIONS_FILE
from streams.mail.rendering.template_folders import COPY, FLOWS, SHARED, flow_folders
from streams.tools.preview.new_flow import with_value

#: The flows of this group are live from the start: customers expect their emails, whatever they consented to.
LIVE_GROUP = "transactional"
_FILES = ("consent.yaml", "rules.yaml", SEGMENTS, LANGUAGES_FILE, OCCASIONS_FILE)
#: The files of a folder over the library that no shop can leave to it.
_STATED = (f"{SHARED}/brand.yaml", "consent.yaml", LANGUAGES_FILE)
_IGNORED = shutil.ignore_patterns(ANY_KEPT, ".*", "__pycache__", "*.md")
_ABOUT_MARKER = "# This folder has what the shop changes. All other files are those of Takk. These flows of Takk run, besides those in this folder.\n"
_ASSETS = Path(__file__).parent / "assets"
TESTS = "tests"
_NAME = re.compile(r"^name:.*$", re.MULTILINE)


class CannotInit(ValueError):
    """A folder that cannot be made. The text says why, and what to do."""


def init_folder(
    library: Path,
    target: Path,
    name: str = "",
    live: Collection[str] = (),
    languages: tuple[str, ...] = (),
    *,
    is_layer: bool = False,
) -> list[str]:
    """Write a templates folder with the flows of the library; return the names of the live ones.

    Args:
        library: the templates folder to copy from.
        target: the new folder. It may exist if it is empty.
        name: the name of the shop, for its brand; "" keeps that of the library.
        live: the flows that are live besides the transactional ones. All others are drafts.
        languages: the languages of the emails, the default first; empty for those of the library.
        is_layer: whether the folder gets only what the shop itself must state, over the library, and names the live flows.

    Raises:
        CannotInit: the folder has files, or a name is unknown.
        OSError: a file cannot be read or written.
    """
    folders = flow_folders(library)
    for flow in live:
        if flow not in folders:
            raise CannotInit(f"unknown flow {flow!r}; {nearest(flow, folders)}")
    for language in languages:
        if not is_language(language) or not (library / COPY / f"{language}.yaml").is_file():
            known = sorted(path.stem for path in (library / COPY).glob("*.yaml"))
            raise CannotInit(f"no copy in the language {language!r}; known: {', '.join(known)}")
    if name and (not name.isprintable() or '"' in name or "\\" in name):
        raise CannotInit(f"invalid name {name!r} (hint: one line without quotation marks)")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CannotInit(f"{target} exists and is not an empty folder (hint: choose a new one; nothing is overwritten)")
    target.mkdir(parents=True, exist_ok=True)
    if is_layer:
        (target / SHARED).mkdir()
        for file in _STATED:
            shutil.copyfile(library / file, target / file)
    else:
        for part in (SHARED, COPY, FLOWS):
            shutil.copytree(library / part, target / part, ignore=_IGNORED)
        for file in _FILES:
            if (library / file).is_file():
                shutil.copyfile(library / file, target / file)
    if languages:
        comment = "# The languages of the emails. Each message needs all of its texts in each of them. The first is for customers of all others."
        (target / LANGUAGES_FILE).write_text(f"{comment}\nlanguages: [{', '.join(languages)}]\n", encoding="utf-8")
    if name:
        brand = target / SHARED / "brand.yaml"
        brand.write_text(_NAME.sub(f'name: "{name}"', brand.read_text(encoding="utf-8"), count=1), encoding="utf-8")
    is_live = _name_flows(folders, target, live) if is_layer else _set_statuses(target, live)
    (target / "README.md").write_text(
        (_ASSETS / ("shop-layer-readme.md.txt" if is_layer else "shop-readme.md.txt"))
        .read_text(encoding="utf-8")
        .replace("<live>", ", ".join(f"`{each}`" for each in is_live)),
        encoding="utf-8",
    )
    (target / TESTS).mkdir()
    shutil.copyfile(_ASSETS / "shop-tests.py.txt", target / TESTS / "test_flows.py")
    return is_live


def _name_flows(folders: Mapping[str, Path], target: Path, live: Collection[str]) -> list[str]:
    """Write which flows of the library run; return their names."""
    names = [flow for flow, folder in folders.items() if folder.parent.name == LIVE_GROUP or flow in live]
    lines = "".join(f"  - {name}\n" for name in names)
    (target / MARKER).write_text(f"{_ABOUT_MARKER}flows:\n{lines}", encoding="utf-8")
    return names


def copy_to_shop(library: Path, root: Path, flow: str) -> tuple[Path, bool]:
    """Copy a flow of the library to a folder over it, under its name and with all of its versions.

    From then on the flow is the shop's: the library's files of it are not read any more. A flow that `library.yaml` does not name
    becomes a draft, because a copy must not start to send.

    Returns:
        The new folder, and whether the flow became a draft.

    Raises:
        CannotInit: the flow is unknown, or the folder has it already.
        OSError: a file cannot be read or written.
    """
    folders, own = flow_folders(library), flow_folders(root)
    is_off = flow in read_snapshot(root, library).layers.off
    if flow not in folders:
        raise CannotInit(f"unknown flow {flow!r}; {nearest(flow, folders)}")
    if flow in own:
        raise CannotInit(f"the folder has the flow {flow!r} in {own[flow]} (hint: edit it there)")
    folder = root / folders[flow].relative_to(library)
    shutil.copytree(folders[flow], folder, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    if is_off:
        path = folder / FLOW
        path.write_text(with_value(path.read_text(encoding="utf-8"), "status", "draft")[0], encoding="utf-8")
    return folder, is_off


def _set_statuses(target: Path, live: Collection[str]) -> list[str]:
    """Make each flow live or a draft; return the live ones."""
    is_live = []
    for flow, folder in flow_folders(target).items():
        status = "live" if folder.parent.name == LIVE_GROUP or flow in live else "draft"
        path = folder / FLOW
        path.write_text(with_value(path.read_text(encoding="utf-8"), "status", status)[0], encoding="utf-8")
        if status == "live":
            is_live.append(flow)
    return is_live
