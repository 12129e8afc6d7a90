"""The names that a template uses, also in the templates that it extends and includes."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError, meta


class UsedNames:
    """Finds the names that templates use, as far as their files can be parsed. Each file is parsed once.

    Args:
        environment: of the templates.
        root: the templates folder.
    """

    def __init__(self, environment: Environment, root: Path) -> None:
        self._environment = environment
        self._root = root
        self._of_files: dict[str, tuple[set[str], list[str]]] = {}

    def of(self, template: str) -> set[str]:
        """Return the names that a template uses. Its path is relative to the templates folder."""
        remaining, visited, names = [template], set[str](), set[str]()
        while remaining:
            page = remaining.pop()
            if page not in visited:
                visited.add(page)
                of_file, others = self._of_file(page)
                names |= of_file
                remaining += others
        return names

    def in_text(self, text: str) -> set[str]:
        """Return the names in a text of a copy; `t` also if it cannot be parsed, which is reported where a message is rendered."""
        try:
            return meta.find_undeclared_variables(self._environment.parse(text)) if "{" in text else set()
        except TemplateSyntaxError:
            return {"t"}

    def _of_file(self, page: str) -> tuple[set[str], list[str]]:
        """Return the names in a file, and the templates that it extends and includes."""
        if page not in self._of_files:
            self._of_files[page] = set(), []
            if (self._root / page).is_file():
                try:
                    tree = self._environment.parse((self._root / page).read_text(encoding="utf-8"))
                except TemplateSyntaxError:
                    return self._of_files[page]  # reported where the message is rendered
                others = [found for found in meta.find_referenced_templates(tree) if found is not None]
                self._of_files[page] = meta.find_undeclared_variables(tree), others
        return self._of_files[page]
