"""Copies a flow of the library to a templates folder under a new name, as a draft."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml

from streams.core.values.text import NAME, nearest
from streams.definitions.checks.layout import ANY_KEPT, FLOW
from streams.mail.rendering.template_folders import FLOWS, flow_folders
from streams.mail.rendering.yaml_nodes import compose


class CannotCopy(ValueError):
    """A flow that cannot be copied. The text says why, and what to do."""


def copy_flow(library: Path, source: str, root: Path, name: str, group: str = "") -> Path:
    """Copy a flow with its messages, texts and examples; return the new folder.

    The copy is version 1 and a draft. Older versions stay behind: no customer is on them.

    Args:
        library: the templates folder to copy from.
        source: the name of the flow in it.
        root: the templates folder that gets the copy. It may be the library.
        name: the name of the new flow.
        group: the group of the new flow; "" for that of the source.

    Raises:
        CannotCopy: the names are invalid, the source is unknown, or the new flow exists.
        OSError: a file cannot be read or written.
    """
    for what, value in (("flow", name), ("group", group)):
        if value and not NAME.match(value):
            raise CannotCopy(
                f"invalid {what} name {value!r} (hint: lowercase letters, digits and dashes, starting with a letter)"
            )
    folders = flow_folders(library)
    if source not in folders:
        raise CannotCopy(f"unknown flow {source!r} in {library}; {nearest(source, folders)}")
    if not root.is_dir():
        raise CannotCopy(f"{root} is not a folder (hint: `takk templates init {root}` makes one)")
    folder = root / FLOWS / (group or folders[source].parent.name) / name
    if folder.exists():
        raise CannotCopy(f"{folder} exists (hint: choose another name, or remove the folder)")
    if name in (existing := flow_folders(root)):
        raise CannotCopy(f"the flow {name!r} exists in {existing[name]} (hint: choose another name)")
    flow = folders[source] / FLOW
    if not flow.is_file():
        raise CannotCopy(f"{flow} is missing")
    text = as_draft(flow.read_text(encoding="utf-8"), name)
    shutil.copytree(folders[source], folder, ignore=shutil.ignore_patterns(ANY_KEPT, ".*", "__pycache__"))
    (folder / FLOW).write_text(text, encoding="utf-8")
    return folder


def with_value(text: str, key: str, value: str) -> tuple[str, int]:
    """Return the text of a flow.yaml with another value of a key, and how often it had the key: 0 or 1. Comments stay."""
    return re.subn(rf"^({key}:[ \t]*)[^\s#]+", rf"\g<1>{value}", text, count=1, flags=re.MULTILINE)


def as_draft(text: str, name: str) -> str:
    """Return the text of a flow.yaml with another name, as version 1 and a draft, without migrations. Comments stay.

    Raises:
        CannotCopy: the text is not YAML with these keys at its start of lines.
    """
    try:
        root = compose(text)
    except yaml.YAMLError as error:
        raise CannotCopy(f"the flow is not valid YAML: {error}") from error
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    lines = text.splitlines(keepends=True)
    starts = [key.start_mark.line for key, _ in pairs]
    for (key, _), start in zip(pairs, starts, strict=True):
        if key.value == "migrations":
            end = next((line for line in starts if line > start), len(lines))
            lines[start:end] = [""] * (end - start)
    text = "".join(lines)
    for key, value in (("flow", name), ("version", "1"), ("status", "draft")):
        text, count = with_value(text, key, value)
        if not count:
            raise CannotCopy(f"the flow has no line `{key}: ...`")
    return text
