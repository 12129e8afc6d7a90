"""The step `add`."""

from __future__ import annotations

import yaml

from streams.core.instances.steps.add import Add
from streams.core.rules.flow import Flow
from streams.core.values.text import FIELD_NAME
from streams.definitions.language import keys, schemas
from streams.definitions.language.durations import duration_text
from streams.definitions.language.keys import Keys
from streams.definitions.language.steps.kind import StepKind
from streams.definitions.language.steps.reader import StepReader

ADD = Keys(("name", "value", "expires"), ("name", "value"))


class AddKind(StepKind[Add]):
    """A step that adds to a number in a field of the customer."""

    step = Add
    key = "add"
    mappings = (ADD,)

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> Add:
        """Return a step that adds to a field."""
        values = reader.mapping(node, *ADD)
        name = reader.field_name(values["name"]) if "name" in values else ""
        value = reader.signed(values["value"]) if "value" in values else 1
        if "expires" in values and value < 0:
            reader.error("flow.E070", values["expires"], "a negative value cannot expire", "remove `expires`")
        expires = reader.duration(values["expires"]) if "expires" in values else None
        return Add(path=path, name=name, value=value, expires=expires)

    def schema(self) -> schemas.Schema:
        """Return a mapping."""
        most = keys.LARGEST_AMOUNT
        value = {"anyOf": [schemas.number((1, most)), schemas.number((-most, -1))]}
        properties = {"name": schemas.pattern(FIELD_NAME), "value": value, "expires": schemas.SPAN}
        return schemas.mapping(ADD, properties, Add)

    def text(self, step: Add, flow: Flow) -> str:
        """Return the field and the number."""
        if step.value < 0:
            return f"subtract {-step.value} from {step.name}"
        expires = f", valid for {duration_text(step.expires)}" if step.expires is not None else ""
        return f"add {step.value} to {step.name}{expires}"
