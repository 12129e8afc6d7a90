"""Avro records as bytes, in both framings that lie on the topics.

Without a schema registry a record is written in Avro's single-object encoding: `C3 01`, the fingerprint of the writer's schema
(CRC-64-AVRO of its parsing canonical form, 8 bytes, little-endian), the data. With one it has the Confluent framing: a zero byte,
the schema's id (4 bytes, big-endian), the data. Both are read always. A schema that is not today's is resolved to today's.
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
Decoder: TypeAlias = Callable[[BytesIO], dict[str, Any]]

SINGLE_OBJECT = b"\xc3\x01"
CONFLUENT = b"\x00"
#: Bytes before the data in each framing.
SINGLE_OBJECT_HEADER = 10
CONFLUENT_HEADER = 5
#: Seconds for which a registry is not asked again about an id that it does not know, and how many such ids are remembered:
#: a flood of bad records must not become a flood of requests.
UNKNOWN_FOR_S = 60.0
UNKNOWN_IDS = 10_000
#: What the registry answers for an id it does not have.
NOT_FOUND = 404


class DecodeFailed(InvalidRecord):
    """Bytes that are no record of the schema asked for.

    `reason` is `not_avro` (no known framing, or data that the schema cannot have written), `unknown_schema` (well framed, but by
    a schema that is not known here or does not fit) or `truncated` (the data ends too early). `detail` holds no data.
    """


def load_schemas(folder: Path) -> dict[str, Schema]:
    """The schemas of a folder: file name without `.avsc` -> schema.

    Raises:
        ValueError: a file is no Avro schema; names the file.
        OSError: the folder cannot be read, or holds no schema (FileNotFoundError).
    """
    schemas = {}
    for path in sorted(folder.glob("*.avsc")):
        try:
            schema = json.loads(path.read_text(encoding="utf-8"))
            parse_schema(schema)
        except (ValueError, SchemaParseException) as error:
            raise ValueError(f"{path} is not an Avro schema: {error}") from error
        schemas[path.stem] = schema
    if not schemas:
        raise FileNotFoundError(f"no .avsc files in {folder}")
    return schemas


def load_history(folder: Path) -> list[Schema]:
    """Former versions of schemas (`<name>-<fingerprint>.avsc`, any name will do), by which old records were written; may be none."""
    return list(load_schemas(folder).values()) if any(folder.glob("*.avsc")) else []


def fingerprint_of(schema: Schema) -> bytes:
    """The CRC-64-AVRO fingerprint of a schema's parsing canonical form: 8 bytes, in the order in which a header has them."""
    # fastavro gives the bytes in little-endian order, as hexadecimal digits.
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


class Codec:
    """Encodes and decodes records by the name of their schema.

    Args:
        schemas: name -> Avro schema, today's versions.
        registry_url: a Confluent schema registry; the schemas are registered there at once and records get its framing.
        registry: a client to use instead of making one from `registry_url` (a `SchemaRegistryClient`, for its own settings).
        history: schemas by which records were written earlier, in any order.
        subjects: name -> the registry's subjects to register it under; by default one, the record's full name.

    Raises:
        fastavro.schema.SchemaParseException: a schema is not one.
        SchemaRegistryError: the registry refuses a schema, for example because it breaks the subject's compatibility.
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
        # Found decoders, by name and by what stands before the data: the whole header in both framings.
        self._decoders: dict[str, dict[bytes, Decoder]] = {name: {} for name in schemas}
        # Compiled readers of data that today's schema wrote, by name and header.
        self._compiled: dict[str, dict[bytes, Reader]] = {name: {} for name in schemas}
        self._unknown_until: dict[bytes, float] = {}
        self._headers = {name: SINGLE_OBJECT + print_ for name, print_ in self._fingerprints.items()}
        if self._registry is not None:
            self._headers = {name: self._register(name, (subjects or {}).get(name)) for name in schemas}

    def encode(self, name: str, record: Mapping[str, Any]) -> bytes:
        """The bytes of a record of schema `name`, framed.

        Raises:
            KeyError: there is no schema of this name.
            ValueError, TypeError: the record does not fit its schema.
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
        """A function `write(source, *given) -> bytes` that does what `encode` does, several times as fast.

        Args:
            name: the schema's name.
            fields: the fields that are attributes of `source`.
            fixed: fields that have the same value in every record.
            given: the fields that are arguments, in their order. All other fields have their default.
            encoded: those of the arguments that are texts and come as bytes, in UTF-8.

        The function raises what `encode` raises.

        Raises:
            KeyError: there is no schema of this name.
        """
        fixed = fixed or {}

        def plainly(source: Any, *values: Any) -> bytes:
            record = {**fixed, **dict(zip(given, values, strict=True))}
            record |= {field: record[field].decode() for field in encoded}
            record |= {field: getattr(source, field) for field in fields}
            return self.encode(name, record)

        try:
            return compile_writer(self._readers[name], self._headers[name], fields, fixed, given, encoded, plainly)
        except Unsupported:
            return plainly

    def decode(self, name: str, data: bytes) -> dict[str, Any]:
        """The record of schema `name` that was encoded as `data`; times are UTC-aware datetimes.

        Raises:
            KeyError: there is no schema of this name.
            DecodeFailed: the bytes are no such record.
            SchemaRegistryError, OSError: the registry was needed and gave no answer; the data may be good.
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
        """`decode` by fastavro: the first record of each writer, old schemas, and all that is damaged."""
        if data[:2] == SINGLE_OBJECT:
            start = SINGLE_OBJECT_HEADER
        elif data[:1] == CONFLUENT:
            start = CONFLUENT_HEADER
        else:
            raise DecodeFailed("not_avro", "neither Avro's single-object encoding nor the Confluent framing")
        if len(data) < start:
            raise DecodeFailed("truncated", f"{len(data)} bytes, the header alone has {start}")
        header = data[:start]
        decoder = self._decoders[name].get(header) or self._decoder(name, header)
        source = BytesIO(data)
        source.seek(start)
        try:
            record = decoder(source)
        except EOFError:
            raise DecodeFailed("truncated", f"the data ends inside a field, after {len(data)} bytes") from None
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError, AttributeError) as error:
            # A closed list, found by fuzzing: what fastavro raises for lengths, indexes, texts and times that cannot be.
            raise DecodeFailed("not_avro", f"no {name} can be written so ({type(error).__name__})") from None
        if source.tell() != len(data):
            raise DecodeFailed("not_avro", f"{len(data) - source.tell()} bytes too many behind the {name}")
        return record

    # -- which schema wrote it -----------------------------------------------------------------------------------------

    def _decoder(self, name: str, header: bytes) -> Decoder:
        if header[:2] == SINGLE_OBJECT:
            writer = self._writers.get(header[2:])
            if writer is None:
                raise DecodeFailed("unknown_schema", f"no schema here has the fingerprint {header[2:].hex()}")
        else:
            writer = self._registered(header)
        decoder = self._resolve(name, header, writer)
        self._decoders[name][header] = decoder
        return decoder

    def _resolve(self, name: str, header: bytes, writer: Schema) -> Decoder:
        reader = self._readers[name]
        try:
            written = fingerprint_of(writer)
            if written == self._fingerprints[name]:
                # The canonical forms are the same, so the data is; today's logical types hold whatever the writer said of them.
                with contextlib.suppress(Unsupported):
                    self._compiled[name][header] = compile_reader(reader)
                return lambda source: schemaless_reader(source, reader)
            parsed = parse_schema(dict(writer))
        except (SchemaParseException, AttributeError, KeyError, TypeError, ValueError) as error:
            raise DecodeFailed("unknown_schema", f"the writer's schema is none ({type(error).__name__})") from None
        full_name = parsed.get("name") if isinstance(parsed, dict) else None
        if full_name != reader["name"] and full_name not in reader.get("aliases", ()):
            raise DecodeFailed("unknown_schema", f"written as {full_name}, which is no {reader['name']}")

        def resolving(source: BytesIO) -> dict[str, Any]:
            try:
                return schemaless_reader(source, parsed, reader)  # type: ignore[no-any-return]
            except SchemaResolutionError as error:
                raise DecodeFailed("unknown_schema", f"the writer's schema does not fit: {error}"[:500]) from None

        return resolving

    # -- the registry --------------------------------------------------------------------------------------------------

    def _register(self, name: str, subjects: Sequence[str] | None) -> bytes:
        from confluent_kafka.schema_registry import Schema as Registered

        schema = Registered(json.dumps(self._raw[name]), "AVRO")
        ids = [
            self._registry.register_schema(subject, schema) for subject in subjects or (self._readers[name]["name"],)
        ]
        return CONFLUENT + int(ids[0]).to_bytes(4, "big")

    def _registered(self, header: bytes) -> Schema:
        number = int.from_bytes(header[1:], "big")
        if self._registry is None:
            raise DecodeFailed("unknown_schema", f"schema id {number}, and no registry is set (SCHEMA_REGISTRY_URL)")
        if self._unknown_until.get(header, 0.0) > time.monotonic():
            raise DecodeFailed("unknown_schema", f"the registry has no schema {number}")
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        try:
            found = self._registry.get_schema(number)
        except SchemaRegistryError as error:
            if error.http_status_code != NOT_FOUND:
                raise
            if len(self._unknown_until) >= UNKNOWN_IDS:
                self._unknown_until.clear()
            self._unknown_until[header] = time.monotonic() + UNKNOWN_FOR_S
            raise DecodeFailed("unknown_schema", f"the registry has no schema {number}") from None
        if (found.schema_type or "AVRO") != "AVRO":
            raise DecodeFailed("unknown_schema", f"schema {number} is {found.schema_type}, not Avro")
        try:
            schema: Schema = json.loads(found.schema_str)
        except ValueError:
            raise DecodeFailed("unknown_schema", f"schema {number} is not JSON") from None
        return schema


def _connect(url: str) -> Any:
    # Imported where it is needed: most worlds have no registry, and its client brings an HTTP library along.
    from confluent_kafka.schema_registry import SchemaRegistryClient

    return SchemaRegistryClient.new_client({"url": url})
