"""streams/README.md: its tree shows the packages that exist, and its layers are those that `make check` enforces."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from streams.settings import PROJECT_ROOT

STREAMS = PROJECT_ROOT / "streams"
#: The width of the column of paths in the tree.
PATH_WIDTH = 17
README = (STREAMS / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return the first code block of a section."""
    body = README.split(f"\n## {title}", 1)[1]
    return body.split("```\n", 2)[1]


def tree() -> set[str]:
    """Return the paths that the tree names, relative to `streams`."""
    paths, parent = set(), ""
    for line in section("Packages").splitlines():
        names = [name.rstrip("/") for name in re.findall(r"[a-z_]+(?:\.py|/)", line[:PATH_WIDTH])]
        if line.startswith(" "):
            paths |= {f"{parent}/{name}" for name in names}
        else:
            (parent,) = names
            paths.add(parent)
    return paths


def packages(folder: Path) -> set[str]:
    """Return the packages directly in `folder`, relative to `streams`."""
    return {str(path.parent.relative_to(STREAMS)) for path in folder.glob("*/__init__.py")}


def test_the_tree_is_complete() -> None:
    """Every path of the tree exists, and every package of the first two levels is in it."""
    paths = tree()
    assert {path for path in paths if not (STREAMS / path).exists()} == set()
    first = packages(STREAMS)
    assert first | set().union(*(packages(STREAMS / name) for name in first)) <= paths


def test_the_layers_are_those_of_the_contract() -> None:
    """The layers in the README are the layers of the contract, except the entry point `__main__`."""
    contracts = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract.get("containers") == ["streams"])
    (line,) = re.findall(r"^(`testing` → .*)\.$", README, re.M)
    written = [re.findall(r"`(\w+)`", layer) for layer in line.split("→")]
    assert written == [layer.replace("__main__ | ", "").split(" | ") for layer in layers]


def test_each_term_is_explained_once() -> None:
    """The glossary has each term once, in about one page."""
    rows = re.findall(r"^\| ([^|]+) \| ", README.split("## Glossary", 1)[1], re.M)[1:]
    terms = [term for row in rows for term in row.split(", ")]
    assert len(terms) == len(set(terms))
    assert 30 <= len(rows) <= 50
