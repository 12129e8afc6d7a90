"""Encoding and decoding of Avro records, in two framings.

Without a schema registry a record has Avro's single-object encoding: `C3 01`, the fingerprint of the writer's schema (CRC-64-AVRO of its
parsing canonical form, 8 bytes, little-endian), then the data. With a registry it has the Confluent framing: a zero byte, the schema id (4
bytes, big-endian), then the data. Both framings are always read. Data of an older or newer schema is resolved to the current schema.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import SchemaParseException

from streams.runtime.avro.compiled import ODD, Reader, Unsupported, compile_reader, compile_writer, mapped
from streams.runtime.avro.framing import (
    CONFLUENT,
    CONFLUENT_HEADER,
    SINGLE_OBJECT,
    SINGLE_OBJECT_HEADER,
    DecodeFailed,
    header_size,
    schema_id,
)
from streams.runtime.avro.registry import Registry, connect
from streams.runtime.avro.resolution import StreamReader, resolving_reader
from streams.runtime.avro.safety import UnsafeSchema, parse_safely
from streams.runtime.avro.schemas import Schema, fingerprint_of, without_logical_types

#: Seconds for which an unknown schema id is not requested again by those who decode without `Codec.load`.
UNKNOWN_ID_TTL_S = 10.0


class Codec:
    """Encodes and decodes records, given the name of their schema.

    Args:
        schemas: name -> current version of the Avro schema.
        registry_url: the URL of a Confluent schema registry, without user and password. The schemas are registered there, and records get
            its framing.
        registry_login: `user:password` for the registry, or None.
        registry: a `SchemaRegistryClient` to use instead of creating one from `registry_url`.
        history: former versions of the schemas, in any order.
        subjects: name -> the subjects to register the schema under; by default the full name of the record.
        registers_later: whether the caller calls `register` before it encodes a record.

    Raises:
        fastavro.schema.SchemaParseException: a schema is invalid.
        RegistryUnavailable, SchemaRegistryError: as in `register`, unless `registers_later`.
    """

    def __init__(
        self,
        schemas: Mapping[str, Schema],
        registry_url: str | None = None,
        *,
        registry_login: str | None = None,
        registry: Any = None,
        history: Iterable[Schema] = (),
        subjects: Mapping[str, Sequence[str]] | None = None,
        registers_later: bool = False,
    ) -> None:
        self._raw = {name: dict(schema) for name, schema in schemas.items()}
        self._readers = {name: parse_schema(dict(schema)) for name, schema in schemas.items()}
        self._fingerprints = {name: fingerprint_of(schema) for name, schema in schemas.items()}
        self._writers: dict[bytes, Schema] = {fingerprint_of(schema): schema for schema in history}
        self._writers.update((self._fingerprints[name], schema) for name, schema in schemas.items())
        client = registry or (connect(registry_url, registry_login) if registry_url else None)
        #: Name -> the full name of the record, such as `takk.Order`.
        self.full_names: Mapping[str, str] = {name: schema["name"] for name, schema in self._readers.items()}
        self._registry = None if client is None else Registry(client, subjects or {}, self.full_names)
        # Readers of data in any schema, by schema name and record header.
        self._stream_readers: dict[str, dict[bytes, StreamReader]] = {name: {} for name in schemas}
        # Compiled readers of data in the current schema, by schema name and record header.
        self._compiled: dict[str, dict[bytes, Reader]] = {name: {} for name in schemas}
        # The bytes before the data, by schema name; empty until a registry has given the ids.
        self._headers = {} if self._registry else {name: SINGLE_OBJECT + it for name, it in self._fingerprints.items()}
        if not registers_later:
            self.register()

    def register(self) -> None:
        """Register the schemas, if there is a registry. It may be called again after an error.

        Raises:
            RegistryUnavailable: the registry does not answer.
            SchemaRegistryError: the registry rejects the login, or a schema, for example because it breaks the compatibility of the subject.
        """
        if self._registry is not None:
            ids = {name: self._registry.register(name, schema) for name, schema in self._raw.items()}
            self._headers = {name: CONFLUENT + number.to_bytes(4, "big") for name, number in ids.items()}

    @property
    def is_registered(self) -> bool:
        """Whether records can be encoded: `register` has succeeded, or there is no registry."""
        return bool(self._headers)

    @property
    def has_registry(self) -> bool:
        """Whether writer schemas may come from a registry."""
        return self._registry is not None

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
        fields: Sequence[str] | None = None,
        fixed: Mapping[str, Any] | None = None,
        given: Sequence[str] = (),
        encoded: Sequence[str] = (),
    ) -> Callable[..., bytes]:
        """Return a function `write(source, *given) -> bytes` that encodes like `encode`, but several times as fast. It raises what `encode` raises.

        Args:
            name: the schema's name.
            fields: the fields that are attributes of `source`; None if `source` is a mapping with the fields of the schema.
            fixed: fields with the same value in every record.
            given: the fields that are arguments, in order. All other fields get their default.
            encoded: the arguments that are text, but passed as UTF-8 bytes.

        Raises:
            KeyError: the schema name is unknown.
        """
        fixed, schema, is_mapping = fixed or {}, self._readers[name], fields is None
        names = [field["name"] for field in schema["fields"]] if fields is None else fields

        def with_fastavro(source: Any, *values: Any) -> bytes:
            record = {**fixed, **dict(zip(given, values, strict=True))}
            record |= {field: record[field].decode() for field in encoded}
            record |= source if is_mapping else {field: mapped(getattr(source, field)) for field in names}
            return self.encode(name, record)

        @cache
        def compiled() -> Callable[..., bytes]:
            parts = schema, self._headers[name], names, fixed, given, encoded, with_fastavro
            with contextlib.suppress(Unsupported):
                return compile_writer(*parts, is_mapping=is_mapping)
            return with_fastavro

        # A compiled writer contains the header.
        return compiled() if self._headers else lambda source, *values: compiled()(source, *values)

    def decode(self, name: str, data: bytes) -> dict[str, Any]:
        """Return the record of schema `name` in `data`; times are UTC-aware datetimes.

        Raises:
            KeyError: the schema name is unknown.
            DecodeFailed: the bytes are not a valid record of the schema.
            RegistryUnavailable: the registry is needed and does not answer; the data may be valid.
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
        start = header_size(data)
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

    def decode_as_written(self, name: str, data: bytes) -> dict[str, Any]:
        """Return the record in `data` as its writer's schema has it: with its fields, its symbols, and times as integers.

        For records that `decode` rejects although the bytes are those of a record. It is slow.

        Raises:
            KeyError: the schema name is unknown.
            DecodeFailed: the writer's schema is unknown, or the bytes are not a record of it.
            RegistryUnavailable: as in `decode`.
        """
        is_single_object = data[:2] == SINGLE_OBJECT
        start = header_size(data)
        writer = self._writers.get(data[2:start]) if is_single_object else self._registered(name, data[:start])
        source = BytesIO(data[start:])
        try:
            record = schemaless_reader(source, parse_schema(without_logical_types(writer)))
        except EOFError:
            raise DecodeFailed("truncated", f"the data ends within a field, after {len(data)} bytes") from None
        except (SchemaParseException, ValueError, LookupError, TypeError, ArithmeticError, MemoryError, AttributeError):
            raise DecodeFailed("not_avro", f"invalid data for schema {name}") from None
        if not isinstance(record, dict) or source.tell() != len(data) - start:
            raise DecodeFailed("not_avro", f"the {name} is not one whole record")
        return record

    # -- the writer's schema --------------------------------------------------------------------------------------------

    def _stream_reader(self, name: str, header: bytes) -> StreamReader:
        if header[:2] == SINGLE_OBJECT:
            writer = self._writers.get(header[2:])
            if writer is None:
                raise DecodeFailed("unknown_schema", f"unknown schema fingerprint {header[2:].hex()}")
        else:
            writer = self._registered(name, header)
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
            return resolving_reader(writer, reader)
        except (SchemaParseException, AttributeError, KeyError, TypeError, ValueError) as error:
            raise DecodeFailed("unknown_schema", f"the writer's schema is invalid ({type(error).__name__})") from None

    # -- the registry --------------------------------------------------------------------------------------------------

    def missing(self, records: Iterable[tuple[str, bytes | None]]) -> set[str]:
        """Return the names of the schemas for which a record has a registry's id that is unknown so far.

        Args:
            records: (name of the schema, encoded record) of each record.
        """
        if self._registry is None:
            return set()
        return {
            name
            for name, data in records
            if data is not None
            and data[:1] == CONFLUENT
            and (header := data[:CONFLUENT_HEADER]) not in self._stream_readers[name]
            and len(header) == CONFLUENT_HEADER
            and self._registry.find(name, schema_id(header)) is None
        }

    def load(self, names: Iterable[str], since: float) -> None:
        """Ask the registry for new versions of schemas. It blocks, and all calls of a process share a limit of one a second.

        Args:
            names: from `missing`.
            since: when the records had been read, in seconds of `time.monotonic`.

        Raises:
            RegistryUnavailable: the registry does not answer.
        """
        if self._registry is not None:
            self._registry.refresh(names, since)

    def _registered(self, name: str, header: bytes) -> Schema:
        number = schema_id(header)
        if self._registry is None:
            raise DecodeFailed(
                "unknown_schema", f"schema id {number} needs a schema registry, and SCHEMA_REGISTRY_URL is not set"
            )
        found = self._registry.find(name, number)
        # A stage loads the schemas of a batch before it decodes the records. This is for tools, which may wait here.
        if found is None and self._registry.age_s(name) > UNKNOWN_ID_TTL_S:
            self._registry.refresh([name], time.monotonic())
            found = self._registry.find(name, number)
        if found is None:
            raise DecodeFailed("unknown_schema", f"schema id {number} does not belong to a subject of {name}")
        if (found.schema_type or "AVRO") != "AVRO":
            raise DecodeFailed("unknown_schema", f"schema {number} is {found.schema_type}, not Avro")
        if found.references:
            raise DecodeFailed("unknown_schema", f"schema {number} has references to other schemas")
        try:
            schema: Schema = parse_safely(found.schema_str)
        except UnsafeSchema as error:
            raise DecodeFailed("unknown_schema", f"schema {number} is refused: {error}") from None
        return schema
