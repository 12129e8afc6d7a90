"""Blocks of a template that the templates it extends do not have: Jinja drops them, and the email lacks what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError, nodes

from streams.core.values.text import nearest
from streams.definitions.problems import Location, Problem


def check_blocks(environment: Environment, root: Path, page: Path) -> Iterator[Problem]:
    """Yield a warning for each block of a template that no extended template has. Templates that cannot be parsed have no warnings.

    Args:
        environment: of the template.
        root: the templates folder.
        page: the template.
    """
    tree = _parsed(environment, page)
    parent = _extended(tree)
    if tree is None or not parent:
        return
    shown: set[str] = set()
    above, visited = parent, set[str]()
    while above:
        outer = _parsed(environment, root / above)
        if outer is None or above in visited:
            return  # reported where the message is rendered
        visited.add(above)
        shown |= {block.name for block in outer.find_all(nodes.Block)}
        above = _extended(outer)
    inner = {nested for block in tree.find_all(nodes.Block) for nested in block.find_all(nodes.Block)}
    for block in tree.find_all(nodes.Block):
        if block.name not in shown and block not in inner:
            message = f"unknown block {block.name!r}: {parent} does not show it"
            yield Problem("message.W007", message, nearest(block.name, sorted(shown)), Location(block.lineno)).in_file(
                page
            )


def _parsed(environment: Environment, path: Path) -> nodes.Template | None:
    try:
        return environment.parse(path.read_text(encoding="utf-8"))
    except (OSError, TemplateSyntaxError):
        return None


def _extended(tree: nodes.Template | None) -> str:
    """Return the template that another extends by its name, or "" without one."""
    extends = tree.find(nodes.Extends) if tree is not None else None
    name = extends.template if extends is not None else None
    return str(name.value) if isinstance(name, nodes.Const) else ""
