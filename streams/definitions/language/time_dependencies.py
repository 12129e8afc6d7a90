"""The analysis of a condition: how time alone may change it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeVar

from jinja2 import nodes

from streams.core.conditions.date_values import is_countdown
from streams.core.conditions.open_values import FIELDS
from streams.core.conditions.time_changes import TIME_DEPENDENT
from streams.core.rules.flow import TimeDependencies
from streams.definitions.language.calls import dependencies_of
from streams.definitions.language.text_calls import countdowns_of

_Node = TypeVar("_Node", bound=nodes.Node)


def time_dependencies_of(tree: nodes.Node) -> TimeDependencies:
    """Return the names in a condition whose value changes with time, each with the numbers at which the condition may change.

    `days > 30` changes when the value reaches 31, `days >= 30` at 30 and `days == 30` at both. So each number that is compared
    counts, and so does the next integer. A period changes whenever a purchase in it ends.
    """
    numbers_of: dict[str, set[int]] = {}
    for comparison in _all(tree, nodes.Compare):
        values = [constant.value for constant in _all(comparison, nodes.Const)]
        numbers = [math.floor(value) for value in values if isinstance(value, (int, float))]
        for name in (*_names(comparison), *countdowns_of(comparison)):
            numbers_of.setdefault(name, set()).update([number + step for number in numbers for step in (0, 1)])
    for name in _names(tree):  # a name with a truth value needs no comparison
        numbers_of.setdefault(name, set())
    periods: set[tuple[str, tuple[int, ...]]] = {(period, ()) for period in dependencies_of(tree)}
    return tuple(
        sorted(
            [
                *[
                    (name, tuple(sorted(numbers)))
                    for name, numbers in numbers_of.items()
                    if name in TIME_DEPENDENT or name.startswith(FIELDS) or is_countdown(name)
                ],
                *periods,
            ]
        )
    )


def _all(tree: nodes.Node, kind: type[_Node]) -> Iterator[_Node]:
    if isinstance(tree, kind):
        yield tree
    yield from tree.find_all(kind)


def _names(tree: nodes.Node) -> Iterator[str]:
    for node in _all(tree, nodes.Getattr):
        if isinstance(node.node, nodes.Name):
            yield f"{node.node.name}.{node.attr}"
