"""The nodes of a YAML file, with their positions and without making values of them."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import Composer

#: Characters with which the two parsers differ: libyaml accepts tabs inside texts, and counts the columns of a byte order mark differently.
_DIFFERENT = frozenset("\t\ufeff")


class AliasFound(yaml.YAMLError):
    """The file has an alias (`*name`).

    Attributes:
        mark: the position of the alias.
    """

    def __init__(self, mark: yaml.Mark) -> None:
        super().__init__("aliases are not supported")
        self.mark = mark


class _Composer(Composer):
    """Makes nodes of the events of a parser, which the classes that inherit from it add."""

    refuses_aliases: bool

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        parser: Any = self
        if self.refuses_aliases and parser.check_event(yaml.AliasEvent):
            raise AliasFound(parser.peek_event().start_mark)
        return super().compose_node(parent, index)


class _Nodes(_Composer, yaml.CSafeLoader):
    """The parser of libyaml, which is ten times as fast as PyYAML's own, with PyYAML's composer.

    The composer of libyaml is not used: it ends the process at brackets that are nested very deeply.
    """

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        _Composer.__init__(self)


class _SlowNodes(_Composer, yaml.SafeLoader):
    """PyYAML's own parser, whose errors say more."""


def compose(text: str, *, refuses_aliases: bool = False) -> yaml.Node | None:
    """Return the root of a YAML file; None if the file is empty.

    Raises:
        yaml.YAMLError: the file is not valid YAML.
        AliasFound: it has an alias, if `refuses_aliases`.
        RecursionError: it is nested too deeply.
    """
    if not _DIFFERENT.intersection(text):
        try:
            return _root(_Nodes(text), refuses_aliases)
        except (yaml.YAMLError, UnicodeError):
            pass  # the slow parser finds the error again
    return _root(_SlowNodes(text), refuses_aliases)


def _root(nodes: _Composer, refuses_aliases: bool) -> yaml.Node | None:
    nodes.refuses_aliases = refuses_aliases
    return nodes.get_single_node()
