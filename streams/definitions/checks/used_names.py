"""The names that a template uses, also in the templates that it extends and includes."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError, meta


def uses_name(environment: Environment, root: Path, template: str, name: str) -> bool:
    """Return whether a template uses a name, as far as its files can be parsed.

    Args:
        environment: of the template.
        root: the templates folder.
        template: the template's path, relative to `root`.
        name: the name.
    """
    remaining, visited = [template], set[str]()
    while remaining:
        page = remaining.pop()
        if page in visited or not (root / page).is_file():
            continue
        visited.add(page)
        try:
            tree = environment.parse((root / page).read_text(encoding="utf-8"))
        except TemplateSyntaxError:
            continue  # reported where the message is rendered
        if name in meta.find_undeclared_variables(tree):
            return True
        remaining += [found for found in meta.find_referenced_templates(tree) if found is not None]
    return False
