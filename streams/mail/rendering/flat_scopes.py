"""The variables that templates assign, as `flat_templates.py` needs them: when one part of a flat template may read those of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from jinja2 import nodes

#: The variables that filters read.
_READ_BY_FILTERS = frozenset({"shop_name"})


class CannotFlatten(Exception):
    """Templates that do something which a flat template would do differently. They are rendered one by one."""


class Scope:
    """A part of a flat template that has variables of its own: a template, a block, or the body of a loop.

    Args:
        body: its statements.
        outer: the scope around it, or None.
        targets: the variables that have a value from the start: of a loop, of `with`, or of a macro.

    Attributes:
        is_loop: whether it is the body of a loop.
        assigned: the variables that have a value for certain at the present statement.
    """

    def __init__(
        self,
        body: Iterable[nodes.Node],
        outer: Scope | None = None,
        targets: Iterable[str] = (),
        *,
        is_loop: bool = False,
    ) -> None:
        self.outer = outer
        self.is_loop = is_loop
        self.assigned = set(targets)
        self._stores = Counter([*_stored_in(body), *self.assigned])
        for name in self._stores:
            if name.startswith("_") or name in _READ_BY_FILTERS:
                raise CannotFlatten(f"a filter may read {name}")

    def stores(self, name: str) -> int:
        """Return how often this scope and those around it assign a variable."""
        return self._stores[name] + (self.outer.stores(name) if self.outer is not None else 0)

    @property
    def has_stores(self) -> bool:
        """Whether its statements assign variables."""
        return bool(self._stores)

    @property
    def is_in_loop(self) -> bool:
        """Whether it is in a loop."""
        return self.is_loop or (self.outer is not None and self.outer.is_in_loop)

    def check_include(self, names: Iterable[str]) -> None:
        """Raise CannotFlatten if an included template would read another value of a variable than it would on its own.

        It reads the variables as they are at its place. In a flat template this is the same for those that are assigned once, before it.
        """
        for name in names:
            count = self.stores(name)
            if count > 1 or (count and not self._is_assigned(name)) or (name == "loop" and self.is_in_loop):
                raise CannotFlatten(f"an included template reads {name}")

    def check_inner(self, names: Iterable[str]) -> None:
        """Raise CannotFlatten if a loop or `with` reads a variable that is assigned after it, or on a condition.

        In a template of its own such a variable may be undefined there, even if the email has a value of that name.
        """
        for name in names:
            if self.stores(name) and not self._is_assigned(name):
                raise CannotFlatten(f"{name} is read before it is assigned")

    def check_block(self, names: Iterable[str]) -> None:
        """Raise CannotFlatten if a block would read another value of a variable than it would on its own.

        It reads the variables of the template as they are at its place, and not those of the blocks and loops around it.
        """
        names = set(names)
        self.check_include(names)
        scope = self
        while scope.outer is not None:
            if any(scope._stores[name] for name in names):
                raise CannotFlatten("a block would read a variable around it")
            scope = scope.outer

    def _is_assigned(self, name: str) -> bool:
        return name in self.assigned or (self.outer is not None and self.outer._is_assigned(name))


def names_in(body: Iterable[nodes.Node]) -> Iterator[nodes.Name]:
    """Yield the names in statements, and the statements that are names themselves."""
    return (name for node in body for name in (node, *node.find_all(nodes.Name)) if isinstance(name, nodes.Name))


def loaded_in(body: Iterable[nodes.Node]) -> set[str]:
    """Return the variables that statements read."""
    return {name.name for name in names_in(body) if name.ctx == "load"} | {
        reference.name for node in body for reference in node.find_all(nodes.NSRef)
    }


def targets_of(target: nodes.Node) -> set[str]:
    """Return the variables of a target such as `a, b`."""
    return {name.name for name in names_in([target]) if name.ctx != "load"}


def stored_by(statement: nodes.Node) -> list[str]:
    """Return the variables that a statement assigns in its own scope, without those of statements in it."""
    if isinstance(statement, nodes.Assign | nodes.AssignBlock):
        return list(targets_of(statement.target))
    if isinstance(statement, nodes.Macro):
        return [statement.name]
    if isinstance(statement, nodes.Import):
        return [statement.target]
    if isinstance(statement, nodes.FromImport):
        return [name if isinstance(name, str) else name[1] for name in statement.names]
    return []


def _stored_in(body: Iterable[nodes.Node]) -> Iterable[str]:
    for statement in body:
        yield from stored_by(statement)
        if isinstance(statement, nodes.If):
            yield from _stored_in([*statement.body, *statement.elif_, *statement.else_])
