"""The schemas of records: read from a directory, and identified by their fingerprints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from fastavro import parse_schema
from fastavro.schema import SchemaParseException, fingerprint, to_parsing_canonical_form

Schema: TypeAlias = dict[str, Any]


def load_schemas(folder: Path) -> dict[str, Schema]:
    """Return the schemas in a directory: file name without `.avsc` -> schema.

    Raises:
        ValueError: a file is not a valid Avro schema; the message names the file.
        OSError: the directory cannot be read, or contains no schema (FileNotFoundError).
    """
    schemas = {}
    for path in sorted(folder.glob("*.avsc")):
        try:
            schema = json.loads(path.read_text(encoding="utf-8"))
            parse_schema(schema)
        except (ValueError, SchemaParseException) as error:
            raise ValueError(f"{path} is not a valid Avro schema: {error}") from error
        schemas[path.stem] = schema
    if not schemas:
        raise FileNotFoundError(f"no .avsc files in {folder}")
    return schemas


def load_history(folder: Path) -> list[Schema]:
    """Return the former versions of schemas in a directory (`*.avsc`), in which old records are written. It may be empty."""
    return list(load_schemas(folder).values()) if any(folder.glob("*.avsc")) else []


def fingerprint_of(schema: Schema) -> bytes:
    """Return the CRC-64-AVRO fingerprint of a schema's parsing canonical form: 8 bytes, in the byte order of the header."""
    return _crc_64(to_parsing_canonical_form(schema))


@lru_cache(maxsize=256)
def _crc_64(canonical_form: str) -> bytes:
    """Return the fingerprint of a canonical form. The result is kept: fastavro needs a millisecond, and a process has many codecs."""
    # fastavro returns the bytes in little-endian order, as hexadecimal digits.
    return bytes.fromhex(fingerprint(canonical_form, "CRC-64-AVRO"))


def without_logical_types(schema: Any) -> Any:
    """Return the schema with plain numbers and texts in place of times, decimals and the like."""
    if isinstance(schema, list):
        return [without_logical_types(part) for part in schema]
    if isinstance(schema, Mapping):
        return {key: without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    return schema
