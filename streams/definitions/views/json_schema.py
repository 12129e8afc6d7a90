"""The JSON Schema of flow.yaml, for editors, generated from the keys of the reader. `takk flows check` finds more than a schema can."""

from __future__ import annotations

from typing import get_args

from streams.core.rules.flow import Clock, Flow, Migration, OncePer, Status, Trigger, Which
from streams.core.rules.trigger_names import EXITS, TRIGGERS
from streams.core.values.text import FIELD_NAME
from streams.definitions.language import keys, schemas
from streams.definitions.language.schemas import Schema
from streams.definitions.language.steps.kinds import KINDS
from streams.definitions.language.yaml_reader import PERCENT


def flow_schema() -> Schema:
    """Return the schema, in draft 7, which editors support best."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A flow of Takk",
        **schemas.mapping(keys.FLOW, _FLOW, Flow),
        "definitions": {"steps": {"type": "array", "minItems": 1, "items": _step()}},
    }


_MIGRATION = schemas.mapping(
    keys.MIGRATION,
    {
        "from": schemas.number(keys.VERSION),
        "steps": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": f"^{schemas.bare(keys.PATH)}$"},
            "additionalProperties": schemas.PATH,
        },
    },
    Migration,
)
_TRIGGER = schemas.mapping(
    keys.TRIGGER,
    {
        "on": schemas.one_of(*TRIGGERS),
        "once_per": schemas.one_of(*get_args(OncePer)),
        "which": schemas.one_of(*get_args(Which)),
        "where": schemas.CONDITION,
        "again_after": schemas.SPAN,
        "segment": schemas.NAMED,
        "before": schemas.SPAN,
        "date": schemas.pattern(FIELD_NAME),
        "threshold": schemas.CONDITION,
        "at": schemas.pattern(keys.MOMENT),
        "clock": schemas.one_of(*get_args(Clock)),
        "spread": schemas.SPAN,
        "backfill": {"type": "boolean"},
    },
    Trigger,
)
_FLOW: dict[str, Schema] = {
    "flow": schemas.NAMED,
    "version": schemas.number(keys.VERSION),
    "status": schemas.one_of(*get_args(Status)),
    "purpose": schemas.PURPOSE,
    "trigger": _TRIGGER,
    "exit_on": schemas.some_of(*EXITS),
    "goal": schemas.CONDITION,
    "holdout": schemas.number(PERCENT),
    "not_with": {"type": "array", "items": schemas.NAMED},
    "migrations": {"type": "array", "items": _MIGRATION},
    "max_age": schemas.SPAN,
    "steps": schemas.STEPS,
}


def _step() -> Schema:
    """Return the schema of a step: a mapping of one key."""
    kinds = {key: kind.schema() for kind in KINDS for key in kind.readers()}
    return schemas.mapping(keys.Keys(tuple(kinds)), kinds) | {"minProperties": 1, "maxProperties": 1}
