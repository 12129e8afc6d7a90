"""JSON Schemas of the records, from the Avro schemas and their documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.gateway.api.conversion import symbols_of

_REF = "#/components/schemas/"
_INT, _LONG = 1 << 31, 1 << 63
_TIME = {
    "oneOf": [
        {"type": "string", "format": "date-time"},
        {"type": "integer", "description": "Milliseconds since 1970 UTC."},
    ]
}
_SCALARS: Mapping[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "boolean": {"type": "boolean"},
    "int": {"type": "integer", "minimum": -_INT, "maximum": _INT - 1},
    "long": {"type": "integer", "minimum": -_LONG, "maximum": _LONG - 1},
    "null": {"type": "null"},
}


def add_schemas(schema: Mapping[str, Any], optional: Mapping[str, Any], schemas: dict[str, Any]) -> dict[str, str]:
    """Put the JSON Schemas of a record and of the records in it into `schemas`, and return the reference to the first.

    Args:
        schema: the Avro schema of the record.
        optional: values of fields that may be left out, by `Record.field`.
        schemas: the JSON Schemas by name.
    """
    name = schema["name"]
    if name not in schemas:
        properties: dict[str, Any] = {}
        schemas[name] = {
            "type": "object",
            "description": schema.get("doc", ""),
            "properties": properties,
            "required": [
                field["name"]
                for field in schema["fields"]
                if "default" not in field and f"{name}.{field['name']}" not in optional
            ],
            "additionalProperties": False,
        }
        for field in schema["fields"]:
            described = _schema_of(field["type"], field.get("doc", ""), optional, schemas)
            properties[field["name"]] = described | {"description": field.get("doc", "")}
            default = field.get("default", optional.get(f"{name}.{field['name']}"))
            if default is not None:
                properties[field["name"]]["default"] = default
    return {"$ref": _REF + name}


def _schema_of(kind: Any, doc: str, optional: Mapping[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    if isinstance(kind, list):
        return {"oneOf": [_schema_of(part, doc, optional, schemas) for part in kind]}
    if isinstance(kind, str):
        return dict(_SCALARS[kind]) if kind in _SCALARS else {"$ref": _REF + kind.rpartition(".")[2]}
    if "logicalType" in kind:
        return dict(_TIME)
    if kind["type"] == "record":
        return dict(add_schemas(kind, optional, schemas))
    if kind["type"] == "enum":
        return {"type": "string", "enum": symbols_of(kind, doc)}
    if kind["type"] == "array":
        return {"type": "array", "items": _schema_of(kind["items"], doc, optional, schemas)}
    return {"type": "object", "additionalProperties": _schema_of(kind["values"], doc, optional, schemas)}
