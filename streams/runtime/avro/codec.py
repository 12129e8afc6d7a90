"""Encoding and decoding of Avro records, in two framings.

Without a schema registry a record has Avro's single-object encoding: `C3 01`, the fingerprint of the writer's schema (CRC-64-AVRO of its
parsing canonical form, 8 bytes, little-endian), then the data. With a registry it has the Confluent framing: a zero byte, the schema id (4
bytes, big-endian), then the data. Both framings are always read. Data of an older or newer schema is resolved to the current schema.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException, fingerprint, to_parsing_canonical_form

from streams.runtime.avro.compiled import ODD, Reader, Unsupported, compile_reader, compile_writer
from streams.runtime.errors import InvalidRecord

Schema: TypeAlias = dict[str, Any]
StreamReader: TypeAlias = Callable[[BytesIO], dict[str, Any]]

SINGLE_OBJECT = b"\xc3\x01"
CONFLUENT = b"\x00"
#: The number of bytes before the data in each framing.
SINGLE_OBJECT_HEADER = 10
CONFLUENT_HEADER = 5
#: Seconds for which an unknown schema id is not requested again, and the number of such ids that are remembered. Many invalid records must
#: not cause as many requests.
UNKNOWN_ID_TTL_S = 60.0
MAX_UNKNOWN_IDS = 10_000
#: The registry's HTTP status for an unknown schema id.
NOT_FOUND = 404


class DecodeFailed(InvalidRecord):
    """The bytes are not a valid record of the expected schema.

    `reason` is `not_avro` (no known framing, or data that the schema cannot produce), `unknown_schema` (the writer's schema is unknown or
    incompatible) or `truncated` (the data ends too early). `detail` contains no data of the record.
    """


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
    # fastavro returns the bytes in little-endian order, as hexadecimal digits.
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


class Codec:
    """Encodes and decodes records, given the name of their schema.

    Args:
        schemas: name -> current version of the Avro schema.
        registry_url: the URL of a Confluent schema registry. The schemas are registered there at once, and records get its framing.
        registry: a `SchemaRegistryClient` to use instead of creating one from `registry_url`.
        history: former versions of the schemas, in any order.
        subjects: name -> the subjects to register the schema under; by default the full name of the record.

    Raises:
        fastavro.schema.SchemaParseException: a schema is invalid.
        SchemaRegistryError: the registry rejects a schema, for example because it breaks the compatibility of the subject.
    """

    def __init__(
        self,
        schemas: Mapping[str, Schema],
        registry_url: str | None = None,
        *,
        registry: Any = None,
        history: Iterable[Schema] = (),
        subjects: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._raw = {name: dict(schema) for name, schema in schemas.items()}
        self._readers = {name: parse_schema(dict(schema)) for name, schema in schemas.items()}
        self._fingerprints = {name: fingerprint_of(schema) for name, schema in schemas.items()}
        self._writers: dict[bytes, Schema] = {fingerprint_of(schema): schema for schema in history}
        self._writers.update((self._fingerprints[name], schema) for name, schema in schemas.items())
        self._registry: Any = registry or (_connect(registry_url) if registry_url else None)
        # Readers of data in any schema, by schema name and record header.
        self._stream_readers: dict[str, dict[bytes, StreamReader]] = {name: {} for name in schemas}
        # Compiled readers of data in the current schema, by schema name and record header.
        self._compiled: dict[str, dict[bytes, Reader]] = {name: {} for name in schemas}
        self._unknown_until: dict[bytes, float] = {}
        self._headers = {name: SINGLE_OBJECT + digest for name, digest in self._fingerprints.items()}
        if self._registry is not None:
            self._headers = {name: self._register(name, (subjects or {}).get(name)) for name in schemas}

    def encode(self, name: str, record: Mapping[str, Any]) -> bytes:
        """Return a record of schema `name`, encoded and framed.

        Raises:
            KeyError: the schema name is unknown.
            ValueError, TypeError: the record does not match its schema.
        """
        out = BytesIO()
        out.write(self._headers[name])
        schemaless_writer(out, self._readers[name], record)
        return out.getvalue()

    def writer(
        self,
        name: str,
        fields: Sequence[str],
        fixed: Mapping[str, Any] | None = None,
        given: Sequence[str] = (),
        encoded: Sequence[str] = (),
    ) -> Callable[..., bytes]:
        """Return a function `write(source, *given) -> bytes` that encodes like `encode`, but several times as fast. It raises what `encode` raises.

        Args:
            name: the schema's name.
            fields: the fields that are attributes of `source`.
            fixed: fields with the same value in every record.
            given: the fields that are arguments, in order. All other fields get their default.
            encoded: the arguments that are text, but passed as UTF-8 bytes.

        Raises:
            KeyError: the schema name is unknown.
        """
        fixed = fixed or {}

        def write_with_fastavro(source: Any, *values: Any) -> bytes:
            record = {**fixed, **dict(zip(given, values, strict=True))}
            record |= {field: record[field].decode() for field in encoded}
            record |= {field: getattr(source, field) for field in fields}
            return self.encode(name, record)

        try:
            return compile_writer(
                self._readers[name], self._headers[name], fields, fixed, given, encoded, write_with_fastavro
            )
        except Unsupported:
            return write_with_fastavro

    def decode(self, name: str, data: bytes) -> dict[str, Any]:
        """Return the record of schema `name` in `data`; times are UTC-aware datetimes.

        Raises:
            KeyError: the schema name is unknown.
            DecodeFailed: the bytes are not a valid record of the schema.
            SchemaRegistryError, OSError: the registry is needed and does not answer; the data may be valid.
        """
        compiled = self._compiled[name]
        if (read := compiled.get(data[:SINGLE_OBJECT_HEADER])) is not None:
            start = SINGLE_OBJECT_HEADER
        elif (read := compiled.get(data[:CONFLUENT_HEADER])) is not None:
            start = CONFLUENT_HEADER
        else:
            return self._decode(name, data)
        try:
            return read(data, start)
        except ODD:
            return self._decode(name, data)

    def _decode(self, name: str, data: bytes) -> dict[str, Any]:
        """Decode with fastavro: the first record of each writer, other schemas, and damaged records."""
        if data[:2] == SINGLE_OBJECT:
            start = SINGLE_OBJECT_HEADER
        elif data[:1] == CONFLUENT:
            start = CONFLUENT_HEADER
        else:
            raise DecodeFailed("not_avro", "neither Avro's single-object encoding nor the Confluent framing")
        if len(data) < start:
            raise DecodeFailed("truncated", f"the record has {len(data)} bytes, its header needs {start}")
        header = data[:start]
        read = self._stream_readers[name].get(header) or self._stream_reader(name, header)
        source = BytesIO(data)
        source.seek(start)
        try:
            record = read(source)
        except EOFError:
            raise DecodeFailed("truncated", f"the data ends within a field, after {len(data)} bytes") from None
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError, AttributeError) as error:
            # A closed list, found by fuzzing: the errors of fastavro for invalid lengths, indexes, texts and times.
            raise DecodeFailed("not_avro", f"invalid data for schema {name} ({type(error).__name__})") from None
        if source.tell() != len(data):
            raise DecodeFailed("not_avro", f"{len(data) - source.tell()} unexpected bytes after the {name}")
        return record

    # -- the writer's schema --------------------------------------------------------------------------------------------

    def _stream_reader(self, name: str, header: bytes) -> StreamReader:
        if header[:2] == SINGLE_OBJECT:
            writer = self._writers.get(header[2:])
            if writer is None:
                raise DecodeFailed("unknown_schema", f"unknown schema fingerprint {header[2:].hex()}")
        else:
            writer = self._registered(header)
        read = self._resolve(name, header, writer)
        self._stream_readers[name][header] = read
        return read

    def _resolve(self, name: str, header: bytes, writer: Schema) -> StreamReader:
        reader = self._readers[name]
        try:
            written = fingerprint_of(writer)
            if written == self._fingerprints[name]:
                # The canonical forms are equal, so the data is in the current schema. Its logical types apply, whatever the writer's schema has.
                with contextlib.suppress(Unsupported):
                    self._compiled[name][header] = compile_reader(reader)
                return lambda source: schemaless_reader(source, reader)
            parsed = parse_schema(dict(writer))
        except (SchemaParseException, AttributeError, KeyError, TypeError, ValueError) as error:
            raise DecodeFailed("unknown_schema", f"the writer's schema is invalid ({type(error).__name__})") from None
        full_name = parsed.get("name") if isinstance(parsed, dict) else None
        if full_name != reader["name"] and full_name not in reader.get("aliases", ()):
            raise DecodeFailed("unknown_schema", f"the writer's schema is {full_name}, expected {reader['name']}")

        def resolving(source: BytesIO) -> dict[str, Any]:
            try:
                return schemaless_reader(source, parsed, reader)  # type: ignore[no-any-return]
            except SchemaResolutionError as error:
                raise DecodeFailed("unknown_schema", f"the writer's schema is incompatible: {error}"[:500]) from None

        return resolving

    # -- the registry --------------------------------------------------------------------------------------------------

    def _register(self, name: str, subjects: Sequence[str] | None) -> bytes:
        from confluent_kafka.schema_registry import Schema as RegistrySchema

        schema = RegistrySchema(json.dumps(self._raw[name]), "AVRO")
        ids = [
            self._registry.register_schema(subject, schema) for subject in subjects or (self._readers[name]["name"],)
        ]
        return CONFLUENT + int(ids[0]).to_bytes(4, "big")

    def _registered(self, header: bytes) -> Schema:
        number = int.from_bytes(header[1:], "big")
        if self._registry is None:
            raise DecodeFailed(
                "unknown_schema", f"schema id {number} needs a schema registry, and SCHEMA_REGISTRY_URL is not set"
            )
        if self._unknown_until.get(header, 0.0) > time.monotonic():
            raise DecodeFailed("unknown_schema", f"unknown schema id {number} in the registry")
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        try:
            registered = self._registry.get_schema(number)
        except SchemaRegistryError as error:
            if error.http_status_code != NOT_FOUND:
                raise
            if len(self._unknown_until) >= MAX_UNKNOWN_IDS:
                self._unknown_until.clear()
            self._unknown_until[header] = time.monotonic() + UNKNOWN_ID_TTL_S
            raise DecodeFailed("unknown_schema", f"unknown schema id {number} in the registry") from None
        if (registered.schema_type or "AVRO") != "AVRO":
            raise DecodeFailed("unknown_schema", f"schema {number} is {registered.schema_type}, not Avro")
        try:
            schema: Schema = json.loads(registered.schema_str)
        except ValueError:
            raise DecodeFailed("unknown_schema", f"schema {number} is not valid JSON") from None
        return schema


def _connect(url: str) -> Any:
    # Imported late: most installations have no registry, and its client imports an HTTP library.
    from confluent_kafka.schema_registry import SchemaRegistryClient

    return SchemaRegistryClient.new_client({"url": url})
