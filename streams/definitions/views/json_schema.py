"""The JSON Schema of flow.yaml, for editors, generated from the keys of the reader. `takk flows check` finds more than a schema can."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, TypeAlias, get_args

from streams.core.rules.consent_policy import Purpose
from streams.core.rules.flow import (
    ChangeList,
    Clock,
    Emit,
    Experiment,
    Flow,
    Migration,
    OncePer,
    Reward,
    Send,
    SetField,
    Split,
    Status,
    TargetTime,
    Trigger,
    Variant,
    Wait,
    WaitFor,
    Which,
)
from streams.core.rules.trigger_names import AWAITED, EXITS, TRIGGERS
from streams.core.values.text import FIELD_NAME, NAME
from streams.definitions.language import keys, recommendations
from streams.definitions.language.yaml_reader import CLOCK, DURATION, PERCENT, WEEKDAYS

Schema: TypeAlias = dict[str, Any]


def flow_schema() -> Schema:
    """Return the schema, in draft 7, which editors support best."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A flow of Takk",
        **_mapping(keys.FLOW, _FLOW, Flow),
        "definitions": {"steps": {"type": "array", "minItems": 1, "items": _step()}},
    }


def _mapping(valid: keys.Keys, properties: Mapping[str, Schema], described: type | None = None) -> Schema:
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
    return schema | _description(described)


def _description(described: type | None) -> Schema:
    """Return the docstring of a class as a description, which editors show."""
    text = inspect.cleandoc(described.__doc__ or "") if described is not None else ""
    return {"description": " ".join(text.split())} if text else {}


def _pattern(expression: re.Pattern[str]) -> Schema:
    return {"type": "string", "pattern": f"^{_bare(expression)}$"}


def _bare(expression: re.Pattern[str]) -> str:
    return expression.pattern.removesuffix(r"\Z")


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _some_of(*values: str) -> Schema:
    return {"type": "array", "items": _one_of(*values)}


def _number(bounds: tuple[int, int]) -> Schema:
    return {"type": "integer", "minimum": bounds[0], "maximum": bounds[1]}


_STEPS: Schema = {"$ref": "#/definitions/steps"}
# YAML reads `true` as a boolean, and so does an editor.
_CONDITION: Schema = {"type": ["string", "boolean"]}
_TEXT: Schema = {"type": ["string", "number", "boolean", "null"], "maxLength": keys.LONGEST_VALUE}
_SPAN, _NAMED = _pattern(DURATION), _pattern(NAME)
_PATH: Schema = {"type": ["string", "number"], "pattern": f"^{_bare(keys.PATH)}$"}
_PURPOSE = _one_of(*get_args(Purpose))

_MIGRATION = _mapping(
    keys.MIGRATION,
    {
        "from": _number(keys.VERSION),
        "steps": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": f"^{_bare(keys.PATH)}$"},
            "additionalProperties": _PATH,
        },
    },
    Migration,
)
_TRIGGER = _mapping(
    keys.TRIGGER,
    {
        "on": _one_of(*TRIGGERS),
        "once_per": _one_of(*get_args(OncePer)),
        "which": _one_of(*get_args(Which)),
        "where": _CONDITION,
        "again_after": _SPAN,
        "segment": _NAMED,
        "before": _SPAN,
        "date": _pattern(FIELD_NAME),
        "threshold": _CONDITION,
    },
    Trigger,
)
_FLOW: dict[str, Schema] = {
    "flow": _NAMED,
    "version": _number(keys.VERSION),
    "status": _one_of(*get_args(Status)),
    "purpose": _PURPOSE,
    "trigger": _TRIGGER,
    "exit_on": _some_of(*EXITS),
    "goal": _CONDITION,
    "holdout": _number(PERCENT),
    "not_with": {"type": "array", "items": _NAMED},
    "migrations": {"type": "array", "items": _MIGRATION},
    "max_age": _SPAN,
    "steps": _STEPS,
}


def _step() -> Schema:
    """Return the schema of a step: a mapping of one key."""
    kinds: dict[str, Schema] = {
        "wait": _wait(),
        "wait_for": _mapping(
            keys.WAIT_FOR,
            {
                "event": _one_of(*AWAITED),
                "up_to": _SPAN,
                "where": _CONDITION,
                "then": _STEPS,
                "otherwise": _STEPS,
            },
            WaitFor,
        ),
        "split": {"type": "array", "minItems": 1, "items": _branch(), **_description(Split)},
        "experiment": _experiment(),
        "send": _mapping(
            keys.SEND,
            {
                "message": {"type": "string"},
                "purpose": _PURPOSE,
                "priority": _number(keys.PRIORITY),
                "expires": _SPAN,
                "not_before": {"type": "string", "format": "date"},
                "holdout": _number(PERCENT),
                "products": _number(keys.PRODUCTS),
                "at_least": _number(keys.PRODUCTS),
                **recommendations.properties(),
            },
            Send,
        ),
        "set": _mapping(keys.SET, {"name": _pattern(FIELD_NAME), "value": _TEXT}, SetField),
        "add_to_list": _NAMED | _description(ChangeList),
        "remove_from_list": _NAMED | _description(ChangeList),
        "reward": _mapping(keys.REWARD, {"name": _NAMED, "pool": _NAMED, "expires": _SPAN, "within": _SPAN}, Reward),
        "emit": _NAMED | _description(Emit),
    }
    return _mapping(keys.STEP, kinds) | {"minProperties": 1, "maxProperties": 1}


def _wait() -> Schema:
    """Return the schema of a wait: a duration, or a mapping with at least one length."""
    mapping = _mapping(
        keys.WAIT,
        {
            "months": _number(keys.MONTHS),
            "days": _number(keys.DAYS),
            "hours": _number(keys.HOURS),
            "minutes": _number(keys.MINUTES),
            "at": _pattern(CLOCK),
            "clock": _one_of(*get_args(Clock)),
            "on": _some_of(*WEEKDAYS),
            "not_on": _some_of(*WEEKDAYS),
            "until": _one_of(*get_args(TargetTime)),
            "before": _SPAN,
            "lasts": _SPAN,
        },
    )
    lengths: Schema = {"anyOf": [{"required": [name]} for name in keys.WAIT_LENGTHS]}
    return {"anyOf": [_SPAN, _pattern(keys.MONTHS_SPAN), mapping | lengths], **_description(Wait)}


def _branch() -> Schema:
    """Return the schema of a branch of a split: a condition and steps, or the steps for all other customers."""
    forms = ({"when": _CONDITION, "steps": _STEPS}, {"otherwise": _STEPS})
    return {"anyOf": [_mapping(keys.Keys(tuple(form), tuple(form)), form) for form in forms]}


def _experiment() -> Schema:
    variant = _mapping(keys.VARIANT, {"name": _NAMED, "percent": _number(PERCENT), "steps": _STEPS}, Variant)
    arms: Schema = {"type": "array", "items": variant}
    return _mapping(keys.EXPERIMENT, {"name": _NAMED, "holdout": _number(PERCENT), "arms": arms}, Experiment)
