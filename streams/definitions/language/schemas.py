"""JSON Schemas of the values in flow.yaml, for the readers of steps and for the whole schema."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, TypeAlias, get_args

from streams.core.rules.consent_policy import Purpose
from streams.core.values.text import NAME
from streams.definitions.language import keys
from streams.definitions.language.yaml_reader import DURATION

Schema: TypeAlias = dict[str, Any]


def mapping(valid: keys.Keys, properties: Mapping[str, Schema], described: type | None = None) -> Schema:
    """Return the schema of a mapping with these keys and no others.

    Args:
        valid: the keys that the reader accepts.
        properties: the schema of each value.
        described: the class whose docstring describes the mapping.

    Raises:
        ValueError: the keys differ from the reader's.
    """
    if set(properties) != set(valid.known):
        raise ValueError(f"the reader has the keys {sorted(valid.known)}, the schema {sorted(properties)}")
    schema: Schema = {
        "type": "object",
        "properties": {name: properties[name] for name in valid.known},
        "additionalProperties": False,
    }
    if valid.needed:
        schema["required"] = list(valid.needed)
    return schema | description(described)


def description(described: type | None) -> Schema:
    """Return the docstring of a class as a description, which editors show."""
    text = inspect.cleandoc(described.__doc__ or "") if described is not None else ""
    return {"description": " ".join(text.split())} if text else {}


def pattern(expression: re.Pattern[str]) -> Schema:
    return {"type": "string", "pattern": f"^{bare(expression)}$"}


def bare(expression: re.Pattern[str]) -> str:
    return expression.pattern.removesuffix(r"\Z")


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def some_of(*values: str) -> Schema:
    return {"type": "array", "items": one_of(*values)}


def number(bounds: tuple[int, int]) -> Schema:
    return {"type": "integer", "minimum": bounds[0], "maximum": bounds[1]}


STEPS: Schema = {"$ref": "#/definitions/steps"}
# YAML reads `true` as a boolean, and so does an editor.
CONDITION: Schema = {"type": ["string", "boolean"]}
TEXT: Schema = {"type": ["string", "number", "boolean", "null"], "maxLength": keys.LONGEST_VALUE}
SPAN, NAMED = pattern(DURATION), pattern(NAME)
PATH: Schema = {"type": ["string", "number"], "pattern": f"^{bare(keys.PATH)}$"}
PURPOSE = one_of(*get_args(Purpose))
