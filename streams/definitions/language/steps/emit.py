"""The step `emit`."""

from __future__ import annotations

import yaml

from streams.core.instances.steps.emit import Emit
from streams.core.rules.flow import Flow
from streams.definitions.language import schemas
from streams.definitions.language.steps.kind import StepKind
from streams.definitions.language.steps.reader import StepReader


class EmitKind(StepKind[Emit]):
    """A step that publishes a signal."""

    step = Emit
    key = "emit"

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> Emit:
        """Return a step that publishes a signal."""
        return Emit(path=path, kind=reader.name(node, "signal"))

    def schema(self) -> schemas.Schema:
        """Return a name."""
        return schemas.NAMED | schemas.description(Emit)

    def text(self, step: Emit, flow: Flow) -> str:
        """Return the name of the signal."""
        return f"emit {step.kind}"

    def output(self, step: Emit) -> str:
        """Return the signal."""
        return f"signal {step.kind!r}"
