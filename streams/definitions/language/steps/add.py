"""The step `add`."""

from __future__ import annotations

import yaml

from streams.core.conditions.names import NAMES, ROUND_NAMES
from streams.core.instances.steps.add import Add
from streams.core.rules.flow import Flow
from streams.core.values.text import FIELD_NAME
from streams.definitions.language import keys, schemas
from streams.definitions.language.durations import duration_text
from streams.definitions.language.keys import Keys
from streams.definitions.language.steps.kind import StepKind
from streams.definitions.language.steps.reader import StepReader

#: `value` or `from`.
ADD = Keys(("name", "value", "from", "expires"), ("name",))
#: The names of conditions whose number can be added.
_SOURCES = tuple([name for name, (kind, _) in NAMES.items() if kind == "number"])


class AddKind(StepKind[Add]):
    """A step that adds to a number in a field of the customer."""

    step = Add
    key = "add"
    mappings = (ADD,)

    def read(self, reader: StepReader, node: yaml.Node, path: str) -> Add:
        """Return a step that adds to a field."""
        before = len(reader.problems)
        values = reader.mapping(node, *ADD)
        reader.either(node, values, is_read=len(reader.problems) == before)
        name = reader.field_name(values["name"]) if "name" in values else ""
        value = reader.signed(values["value"]) if "value" in values else 1
        if "expires" in values and value < 0:
            reader.error("flow.E070", values["expires"], "a negative value cannot expire", "remove `expires`")
        expires = reader.duration(values["expires"]) if "expires" in values else None
        source = reader.value_name(values["from"], _SOURCES, "a number") if "from" in values else ""
        if source in ROUND_NAMES:
            value, source = int(reader.round_text(source)), ""
        return Add(path=path, name=name, value=value, source=source, expires=expires)

    def schema(self) -> schemas.Schema:
        """Return a mapping with a number or the name of one."""
        most = keys.LARGEST_AMOUNT
        value = {"anyOf": [schemas.number((1, most)), schemas.number((-most, -1))]}
        properties = {
            "name": schemas.pattern(FIELD_NAME),
            "value": value,
            "from": schemas.one_of(*_SOURCES),
            "expires": schemas.SPAN,
        }
        either: schemas.Schema = {"anyOf": [{"required": ["value"]}, {"required": ["from"]}]}
        return schemas.mapping(ADD, properties, Add) | either

    def text(self, step: Add, flow: Flow) -> str:
        """Return the field and the number."""
        if step.value < 0:
            return f"subtract {-step.value} from {step.name}"
        expires = f", valid for {duration_text(step.expires)}" if step.expires is not None else ""
        return f"add {step.source or step.value} to {step.name}{expires}"
