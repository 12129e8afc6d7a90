"""The step `set`."""

from __future__ import annotations

import yaml

from streams.core.conditions.names import NAMES, ROUND_NAMES
from streams.core.instances.steps.set_field import SetField
from streams.core.rules.flow import Flow
from streams.core.values.text import FIELD_NAME
from streams.definitions.language import keys, schemas
from streams.definitions.language.keys import Keys
from streams.definitions.language.steps.kind import StepKind
from streams.definitions.language.steps.reader import StepReader

#: Either of the last two.
SET = Keys(("name", "value", "from"), ("name",))
#: The names of conditions whose value can be stored.
_SOURCES = tuple([name for name, (kind, _) in NAMES.items() if kind in ("text", "number")])


class SetFieldKind(StepKind[SetField]):
    """A step that sets a field of the customer."""

    step = SetField
    key = "set"
    mappings = (SET,)

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> SetField:
        """Return a step that sets a field of the customer."""
        before = len(reader.problems)
        values = reader.mapping(node, *SET)
        reader.either(node, values, is_read=len(reader.problems) == before)
        name = reader.field_name(values["name"]) if "name" in values else ""
        value = reader.text(values["value"]) if "value" in values else ""
        if len(value) > keys.LONGEST_VALUE:
            hint = f"use {keys.LONGEST_VALUE} characters at most"
            reader.error("flow.E022", values["value"], f"the value is {len(value)} characters long", hint)
        source = reader.value_name(values["from"], _SOURCES, "a text or a number") if "from" in values else ""
        if source in ROUND_NAMES:
            return SetField(path=path, name=name, value=reader.round_text(source))
        return SetField(path=path, name=name, value=value, source=source)

    def schema(self) -> schemas.Schema:
        """Return a mapping with a value or the name of one."""
        properties = {
            "name": schemas.pattern(FIELD_NAME),
            "value": schemas.TEXT,
            "from": schemas.one_of(*_SOURCES),
        }
        either: schemas.Schema = {"anyOf": [{"required": ["value"]}, {"required": ["from"]}]}
        return schemas.mapping(SET, properties, SetField) | either

    def text(self, step: SetField, flow: Flow) -> str:
        """Return the field and its value."""
        if step.source:
            return f"set {step.name} to {step.source}"
        return f"set {step.name} to {step.value!r}" if step.value else f"remove field {step.name}"
