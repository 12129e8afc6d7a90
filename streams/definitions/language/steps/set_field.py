"""The step `set`."""

from __future__ import annotations

import yaml

from streams.core.instances.steps.set_field import SetField
from streams.core.rules.flow import Flow
from streams.core.values.text import FIELD_NAME
from streams.definitions.language import keys, schemas
from streams.definitions.language.keys import Keys
from streams.definitions.language.steps.kind import StepKind
from streams.definitions.language.steps.reader import StepReader

SET = Keys(("name", "value"), ("name", "value"))


class SetFieldKind(StepKind[SetField]):
    """A step that sets a field of the customer."""

    step = SetField
    key = "set"
    mappings = (SET,)

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> SetField:
        """Return a step that sets a field of the customer."""
        values = reader.mapping(node, *SET)
        name = reader.text(values["name"]) if "name" in values else ""
        if "name" in values and not FIELD_NAME.match(name):
            hint = "use lowercase letters, digits and _, starting with a letter"
            reader.error("yaml.E017", values["name"], f"invalid field name {name!r}", hint)
        value = reader.text(values["value"]) if "value" in values else ""
        if len(value) > keys.LONGEST_VALUE:
            hint = f"use {keys.LONGEST_VALUE} characters at most"
            reader.error("flow.E022", values["value"], f"the value is {len(value)} characters long", hint)
        return SetField(path=path, name=name, value=value)

    def schema(self) -> schemas.Schema:
        """Return a mapping."""
        return schemas.mapping(SET, {"name": schemas.pattern(FIELD_NAME), "value": schemas.TEXT}, SetField)

    def text(self, step: SetField, flow: Flow) -> str:
        """Return the field and its value."""
        return f"set {step.name} to {step.value!r}" if step.value else f"remove field {step.name}"
