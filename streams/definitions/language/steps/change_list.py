"""The steps `add_to_list` and `remove_from_list`."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from streams.core.instances.steps.change_list import ChangeList
from streams.core.rules.flow import Flow
from streams.definitions.language import schemas
from streams.definitions.language.steps.kind import StepKind
from streams.definitions.language.steps.reader import KindReader, StepReader


class ChangeListKind(StepKind[ChangeList]):
    """A step that adds the customer to a list, or removes them from it."""

    step = ChangeList
    key = "add_to_list"

    def readers(self) -> Mapping[str, KindReader]:
        """Return the readers of both keys."""
        return {"add_to_list": self.read, "remove_from_list": self.read_removal}

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> ChangeList:
        """Return a step that adds the customer to a list."""
        return ChangeList(path=path, name=reader.name(node, "list"), is_member=True)

    def read_removal(self, reader: StepReader, node: yaml.Node, path: str) -> ChangeList:
        """Return a step that removes the customer from a list."""
        return ChangeList(path=path, name=reader.name(node, "list"), is_member=False)

    def schema(self) -> schemas.Schema:
        """Return a name."""
        return schemas.NAMED | schemas.description(ChangeList)

    def text(self, step: ChangeList, flow: Flow) -> str:
        """Return the list."""
        return f"{'add to' if step.is_member else 'remove from'} list {step.name}"
