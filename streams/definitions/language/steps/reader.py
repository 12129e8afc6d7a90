"""The reader of lists of steps. Steps are numbered along their branches: step 1.0.2 is the third step in the first branch of step 1."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

import yaml

from streams.core.rules.flow import Reward, Send, Step, all_steps
from streams.definitions.language.steps.scope import ScopedReader

#: Branches around a step, at most.
_DEEPEST = 8


class StepReader(ScopedReader):
    """Reads lists of steps.

    Args:
        kinds: the reader of each kind of step.
        messages: the names of the messages beside the flow.
        segments: the names of all segments.
    """

    def __init__(self, kinds: Mapping[str, KindReader], messages: Collection[str], segments: Collection[str]) -> None:
        super().__init__(messages, segments)
        self.kinds = kinds

    def steps(self, node: yaml.Node, prefix: str = "", first: int = 0) -> tuple[Step, ...]:
        """Return a list of steps. `prefix` is the first part of their paths, with a dot at its end; `first` the number of the first one."""
        if prefix.count(".") > 2 * _DEEPEST:
            message = f"branches are nested more than {_DEEPEST} levels deep"
            self.error("flow.E018", node, message, "divide the flow in two")
            return ()
        items = self.items(node, "steps")
        if not items and isinstance(node, yaml.SequenceNode):
            self.error("flow.E019", node, "no steps", "add at least one, for example `- send: {message: …}`")
        steps: list[Step] = []
        for index, item in enumerate(items, first):
            steps.append(self.step(item, f"{prefix}{index}"))
            inner = [*all_steps(tuple(steps[-1:]))]
            self.has_sent = self.has_sent or any(isinstance(step, Send) for step in inner)
            self.has_rewarded = self.has_rewarded or any(isinstance(step, Reward) for step in inner)
        return tuple(steps)

    def step(self, node: yaml.Node, path: str) -> Step:
        """Return one step: a mapping of one key, its kind."""
        values = self.mapping(node, tuple(self.kinds))
        if isinstance(node, yaml.MappingNode) and not node.value:
            self.error("flow.E020", node, "empty step", f"write one of {', '.join(self.kinds)}")
        if len(values) > 1:
            hint = "start each step with a dash of its own"
            self.error("flow.E021", node, f"a step has one kind, but this one has {' and '.join(values)}", hint)
        for kind, value in values.items():
            return self.kinds[kind](self, value, path)
        return Step(path=path)

    def branch(self, node: yaml.Node | None, path: str, number: int, first: int = 0) -> tuple[Step, ...]:
        """Return the steps of a branch of the step at `path`.

        `first` is the number of the first step. The emails and rewards of the branch precede the steps after the branches join, but not the
        steps of other branches.
        """
        before = self.has_sent, self.has_rewarded
        steps = self.steps(node, f"{path}.{number}.", first) if node is not None else ()
        self.has_sent, self.has_rewarded = before
        return steps


def pairs_of(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    """Return the keys and values of a valid mapping."""
    return [(str(key.value), value) for key, value in node.value] if isinstance(node, yaml.MappingNode) else []


def items_of(node: yaml.Node | None) -> list[yaml.Node]:
    """Return the items of a valid list."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def branches_of(node: yaml.Node | None) -> list[tuple[yaml.Node | None, yaml.Node | None]]:
    """Return the items of a list of branches, each with the node of its steps."""
    branches = [(item, dict(pairs_of(item))) for item in items_of(node)]
    return [(item, values.get("steps") or values.get("otherwise")) for item, values in branches]


#: Reads the value of a step's key. The text is the path of the step.
KindReader: TypeAlias = Callable[[StepReader, yaml.Node, str], Step]
