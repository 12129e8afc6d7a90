"""Reading of data in the writer's schema as a record of the current schema."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, TypeAlias

from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError

from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.avro.schemas import Schema

StreamReader: TypeAlias = Callable[[BytesIO], dict[str, Any]]


def resolving_reader(writer: Schema, reader: Schema) -> StreamReader:
    """Return a function that reads data of the schema `writer` as a record of the parsed schema `reader`.

    Raises:
        DecodeFailed: `writer` is the schema of another record. The function raises it if the schemas are incompatible.
        SchemaParseException, AttributeError, KeyError, TypeError, ValueError: `writer` is not a schema.
    """
    parsed = parse_schema(dict(writer))
    full_name = parsed.get("name") if isinstance(parsed, dict) else None
    if full_name != reader["name"] and full_name not in reader.get("aliases", ()):
        raise DecodeFailed("unknown_schema", f"the writer's schema is {full_name}, expected {reader['name']}")

    def read(source: BytesIO) -> dict[str, Any]:
        try:
            return schemaless_reader(source, parsed, reader)  # type: ignore[no-any-return]
        except SchemaResolutionError as error:
            raise DecodeFailed("unknown_schema", f"the writer's schema is incompatible: {error}"[:500]) from None

    return read
