"""The step `emit`."""

from __future__ import annotations

import re

import yaml

from streams.core.conditions.names import NAMES, ROUND_NAMES
from streams.core.instances.steps.emit import Emit, SignalValue
from streams.core.rules.flow import Flow
from streams.core.values.text import FIELD_NAME
from streams.definitions.language import keys, schemas
from streams.definitions.language.keys import Keys
from streams.definitions.language.steps.kind import StepKind
from streams.definitions.language.steps.reader import StepReader

#: The long form. The short form is the name alone.
EMIT = Keys(("name", "data"), ("name",))
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


class EmitKind(StepKind[Emit]):
    """A step that publishes a signal."""

    step = Emit
    key = "emit"
    mappings = (EMIT,)

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> Emit:
        """Return a step that publishes a signal."""
        if not isinstance(node, yaml.MappingNode):
            return Emit(path=path, kind=reader.name(node, "signal"))
        values = reader.mapping(node, *EMIT)
        kind = reader.name(values["name"], "signal") if "name" in values else ""
        pairs = reader.pairs(values["data"], "{score: event.number}") if "data" in values else []
        if len(pairs) > keys.MOST_SIGNAL_VALUES:
            message = f"the signal has {len(pairs)} values"
            reader.error("flow.E084", values["data"], message, f"{keys.MOST_SIGNAL_VALUES} at most")
        return Emit(path=path, kind=kind, data=tuple([_value(reader, key, value) for key, _, value in pairs]))

    def schema(self) -> schemas.Schema:
        """Return a name, or a mapping with the values."""
        data: schemas.Schema = {
            "type": "object",
            "maxProperties": keys.MOST_SIGNAL_VALUES,
            "propertyNames": {"pattern": f"^{schemas.bare(FIELD_NAME)}$"},
            "additionalProperties": {"type": "string", "maxLength": keys.LONGEST_VALUE + 2},  # with its quotes
        }
        return {"anyOf": [schemas.NAMED, schemas.mapping(EMIT, {"name": schemas.NAMED, "data": data})]} | (
            schemas.description(Emit)
        )

    def text(self, step: Emit, flow: Flow) -> str:
        """Return the name of the signal, and those of its values."""
        data = f" with {', '.join([value.name for value in step.data])}" if step.data else ""
        return f"emit {step.kind}{data}"

    def output(self, step: Emit) -> str:
        """Return the signal."""
        return f"signal {step.kind!r}"


def _value(reader: StepReader, key: yaml.Node, node: yaml.Node) -> SignalValue:
    """Return a value of a signal: a name of conditions, or a text in quotes."""
    name, written = reader.field_name(key), reader.text(node)
    quoted = _QUOTED.fullmatch(written)
    if quoted is not None:
        text = quoted[1] or quoted[2] or ""
        if len(text) > keys.LONGEST_VALUE:
            hint = f"use {keys.LONGEST_VALUE} characters at most"
            reader.error("flow.E022", node, f"the value is {len(text)} characters long", hint)
        return SignalValue(name=name, text=text)
    source = reader.value_name(
        node, NAMES, "a value; put a fixed text into two pairs of quotes: \"'text'\"", is_open=True
    )
    if source in ROUND_NAMES:
        return SignalValue(name=name, text=reader.round_text(source))
    return SignalValue(name=name, source=source)
