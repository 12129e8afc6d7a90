"""Mentions: the names in backticks and the modules that docstrings and comments mention exist."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

from tests.unit.docs.prose import ROOT, checked, comments, docstrings

#: Names of other projects.
FOREIGN = frozenset(("CheckMessage", "set_iterate_lower_bound"))
_NAME = re.compile(r"`([A-Za-z_][\w.]*)(?:\(\))?`")
_WORD = re.compile(r"\w+")
#: The fields of a node that hold identifiers.
_NAMES = frozenset(("id", "attr", "name", "arg", "asname", "module"))
_MODULE = re.compile(r"\b[\w/]+\.py\b")


def names_in(tree: ast.AST) -> Iterator[str]:
    """Yield every identifier of a module, and the words of its short strings: fields, topics, settings and rules."""
    left = [tree]
    while left:
        for field, value in vars(left.pop()).items():
            if isinstance(value, str):
                if field in _NAMES or (field == "value" and len(value) < 80):
                    yield from _WORD.findall(value)
            elif isinstance(value, ast.AST):
                left.append(value)
            elif isinstance(value, list):
                left += [each for each in value if isinstance(each, ast.AST)]


def missing(source: str, tree: ast.AST, known: set[str], files: list[str]) -> Iterator[str]:
    """Yield the mentions in the docstrings and comments of a module that are neither `known` names nor ends of `files`."""
    for text in (*docstrings(tree), *comments(source)):
        for name in _NAME.findall(text.words):
            if not name.endswith((".py", ".yaml", ".md", ".j2", ".css")) and not known.issuperset(
                name.strip(".").split(".")
            ):
                yield f"{text.line}: `{name}`"
        for module in _MODULE.findall(text.words):
            if not any(f"/{file}".endswith(f"/{module}") for file in files):
                yield f"{text.line}: {module}"


def test_mentions_exist() -> None:
    """A renamed function or a moved module is renamed in prose too."""
    files = [name for name in checked() if name.endswith(".py")]
    sources = {name: (ROOT / name).read_text(encoding="utf-8") for name in files}
    known = {*dir(builtins), *FOREIGN, *(word for name in files for word in re.findall(r"\w+", name))}
    trees = {name: ast.parse(source) for name, source in sources.items()}
    for tree in trees.values():
        known.update(names_in(tree))
    for path in (*Path(ROOT / "schemas").rglob("*.avsc"), *Path(ROOT / "templates").rglob("*.yaml")):
        known.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    found = [
        f"{name}:{mention}" for name, tree in trees.items() for mention in missing(sources[name], tree, known, files)
    ]
    assert not found, "\n".join(found)


def test_a_missing_name_is_found() -> None:
    """Names, dotted names and modules are looked up; other code in backticks is not."""
    source = '"""Call `run()` of `engine.gone`, see `x = 1` and old.py."""\n# `run` is here\n'
    assert [*missing(source, ast.parse(source), {"run", "engine"}, ["core/engine.py"])] == [
        "1: `engine.gone`",
        "1: old.py",
    ]
