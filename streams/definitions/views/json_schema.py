"""The JSON Schema of a flow.yaml, for editors: made from the words that the reader knows. `takk flows check` says more than it can."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, TypeAlias, get_args

from streams.core.model.consent_policy import Purpose
from streams.core.model.flow import (
    AWAITED,
    EXITS,
    TRIGGERS,
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
from streams.core.values.text import NAME
from streams.definitions.language import keys
from streams.definitions.language.yaml_reader import CLOCK, DURATION, PERCENT, WEEKDAYS

Schema: TypeAlias = dict[str, Any]


def flow_schema() -> Schema:
    """The schema (draft 7, which editors know best)."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A flow of Takk",
        **_mapping(keys.FLOW, _FLOW, Flow),
        "definitions": {"steps": {"type": "array", "minItems": 1, "items": _step()}},
    }


def _mapping(told: keys.Keys, properties: Mapping[str, Schema], about: type | None = None) -> Schema:
    """A mapping with these keys and no others.

    Raises:
        ValueError: the keys are not those that the reader knows.
    """
    if set(properties) != set(told.known):
        raise ValueError(f"the reader knows {sorted(told.known)}, the schema {sorted(properties)}")
    schema: Schema = {
        "type": "object",
        "properties": {name: properties[name] for name in told.known},
        "additionalProperties": False,
    }
    if told.needed:
        schema["required"] = list(told.needed)
    return schema | _about(about)


def _about(kind: type | None) -> Schema:
    """What the program says of a thing, as editors show it."""
    words = inspect.cleandoc(kind.__doc__ or "") if kind is not None else ""
    return {"description": " ".join(words.split())} if words else {}


def _pattern(expression: re.Pattern[str]) -> Schema:
    return {"type": "string", "pattern": f"^{_bare(expression)}$"}


def _bare(expression: re.Pattern[str]) -> str:
    return expression.pattern.removesuffix(r"\Z")


def _one_of(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def _some_of(*words: str) -> Schema:
    return {"type": "array", "items": _one_of(*words)}


def _number(bounds: tuple[int, int]) -> Schema:
    return {"type": "integer", "minimum": bounds[0], "maximum": bounds[1]}


_STEPS: Schema = {"$ref": "#/definitions/steps"}
# YAML takes `true` for more than a text, and so does an editor.
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
    "steps": _STEPS,
}


def _step() -> Schema:
    """One step: one key."""
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
        "split": {"type": "array", "minItems": 1, "items": _arm(), **_about(Split)},
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
            },
            Send,
        ),
        "set": _mapping(keys.SET, {"name": _pattern(keys.FIELD), "value": _TEXT}, SetField),
        "add_to_list": _NAMED | _about(ChangeList),
        "remove_from_list": _NAMED | _about(ChangeList),
        "reward": _mapping(keys.REWARD, {"name": _NAMED, "pool": _NAMED, "expires": _SPAN, "within": _SPAN}, Reward),
        "emit": _NAMED | _about(Emit),
    }
    return _mapping(keys.STEP, kinds) | {"minProperties": 1, "maxProperties": 1}


def _wait() -> Schema:
    """A time span, or a mapping with at least one length."""
    told = _mapping(
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
    return {"anyOf": [_SPAN, _pattern(keys.MONTHS_SPAN), told | lengths], **_about(Wait)}


def _arm() -> Schema:
    """An arm of a split: a condition and steps, or the steps of all others."""
    ways = ({"when": _CONDITION, "steps": _STEPS}, {"otherwise": _STEPS})
    return {"anyOf": [_mapping(keys.Keys(tuple(way), tuple(way)), way) for way in ways]}


def _experiment() -> Schema:
    variant = _mapping(keys.VARIANT, {"name": _NAMED, "percent": _number(PERCENT), "steps": _STEPS}, Variant)
    arms: Schema = {"type": "array", "items": variant}
    return _mapping(keys.EXPERIMENT, {"name": _NAMED, "holdout": _number(PERCENT), "arms": arms}, Experiment)
