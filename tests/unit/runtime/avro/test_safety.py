"""Writer schemas: which are refused, and that those which are not cost no more than their records are long."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.avro import safety
from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.avro.safety import UnsafeSchema, check_safe, parse_safely
from streams.runtime.avro.schemas import load_schemas
from streams.wire.codec import SCHEMAS, open_codec
from tests.harness.registry_server import RegistryServer


def record(*types: Any, name: str = "R") -> dict[str, Any]:
    """Return a record with fields of the types."""
    return {"type": "record", "name": name, "fields": [{"name": f"f{i}", "type": t} for i, t in enumerate(types)]}


def nested(depth: int) -> Any:
    """Return arrays in arrays."""
    kind: Any = "int"
    for _ in range(depth):
        kind = {"type": "array", "items": kind}
    return kind


def doubling(depth: int) -> Any:
    """Return records that each have the one before twice: 2^depth values, in a short schema."""
    kind: Any = record("int", name="R0")
    for level in range(1, depth):
        kind = record(kind, f"R{level - 1}", name=f"R{level}")
    return kind


EMPTY = record("null", name="Empty")
UNSAFE: dict[str, Any] = {
    "array of null": record({"type": "array", "items": "null"}),
    "array of an empty record": record({"type": "array", "items": EMPTY}),
    "array of a fixed without bytes": record({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}),
    "array of many values in one byte": record({"type": "array", "items": record("int", *["null"] * 40, name="Wide")}),
    "map of many values in one byte": record({"type": "map", "values": record(*["null"] * 40, name="Wide")}),
    "recursive": record(["null", "R"]),
    "recursive by an array": record({"type": "array", "items": "R"}, "int"),
    "recursive by a map": record({"type": "map", "values": "R"}, "int"),
    "recursive by a namespace": {**record(["null", "a.R"]), "namespace": "a"},
    "recursive by another record": record(["null", record(["null", "R"], name="S")]),
    "no bytes": record("null"),
    "only null": "null",
    "deep": record(nested(50)),
    "very deep": record(nested(5000)),
    "wide": record(*["int"] * (safety.MAX_VALUES + 1)),
    "wide by doubling": doubling(14),
    "deep by doubling": doubling(40),
    "many symbols": {"type": "enum", "name": "E", "symbols": [f"s{i}" for i in range(5000)]},
    "large fixed": record({"type": "fixed", "name": "F", "size": 1 << 30}),
    "negative fixed": record("int", {"type": "fixed", "name": "F", "size": -1}),
    "many branches": record([{"type": "fixed", "name": f"F{i}", "size": 1} for i in range(100)]),
    "empty union": record([]),
    "many digits": record({"type": "bytes", "logicalType": "decimal", "precision": 10**9, "scale": 10**9}),
    "unknown type": record("nothing"),
    "number": 7,
    "no type": {},
    "field without type": {"type": "record", "name": "R", "fields": [{"name": "a"}]},
    "field without name": {"type": "record", "name": "R", "fields": [{"type": "int"}]},
    "fields are text": {"type": "record", "name": "R", "fields": "ab"},
    "defined twice": record(record("int", name="S"), record("int", name="S")),
    "name is a number": {**record("int"), "name": 7},
}


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_schemas_are_refused(name: str) -> None:
    """Each schema that could cost more than its records are long is refused, with the limit in the text."""
    with pytest.raises(UnsafeSchema) as refused:
        check_safe(UNSAFE[name])
    assert len(str(refused.value)) > 10


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '"int"' + " " * safety.MAX_SCHEMA_CHARS, '{"a":' * 50_000, "1e999", "NaN"]
)
def test_texts_that_are_no_schema(text: str) -> None:
    """A text that is not JSON, too long, or nested without end is refused."""
    with pytest.raises(UnsafeSchema):
        parse_safely(text)


@pytest.mark.parametrize("path", sorted(SCHEMAS.rglob("*.avsc")), ids=lambda path: path.stem)
def test_schemas_of_takk_are_safe(path: Any) -> None:
    """Every schema of this version and of earlier ones is within the limits, with room to grow."""
    parse_safely(path.read_text())


NAMES = st.sampled_from(["null", "int", "string", "boolean", "R", "S", "T"])
TYPES = st.recursive(
    NAMES | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.builds(lambda t: {"type": "array", "items": t}, inner)
        | st.builds(lambda t: {"type": "map", "values": t}, inner)
        | st.builds(lambda size: {"type": "fixed", "name": "F", "size": size}, st.integers(-1, 4))
        | st.builds(lambda name, types: record(*types, name=name), st.sampled_from("RST"), st.lists(inner, max_size=4))
    ),
    max_leaves=12,
)


@given(TYPES, st.binary(max_size=40))
def test_any_schema_is_refused_or_bounded(schema: Any, data: bytes) -> None:
    """A value that a safe schema decodes has no more parts than the limits allow."""
    try:
        check_safe(schema)
    except UnsafeSchema:
        return
    try:
        value = fastavro.schemaless_reader(io.BytesIO(data), fastavro.parse_schema(schema), None)
    except Exception:  # noqa: BLE001 - the bytes may be invalid, and fastavro raises many kinds of errors
        return
    assert count(value) <= safety.MAX_VALUES + len(data) * safety.MAX_VALUES_PER_BYTE


def count(value: Any) -> int:
    """Return the number of values in a value."""
    if isinstance(value, dict):
        return 1 + sum(count(item) for item in value.values())
    if isinstance(value, list):
        return 1 + sum(count(item) for item in value)
    return 1


@pytest.mark.parametrize(
    "name", ["array of null", "recursive", "array of an empty record", "deep", "wide by doubling", "no type", "number"]
)
def test_a_registered_schema_that_is_unsafe(name: str) -> None:
    """A record whose writer schema is unsafe is invalid, and its schema is not used: the worker neither hangs nor crashes."""
    order = load_schemas(SCHEMAS)["order"]
    schema = UNSAFE[name]
    if isinstance(schema, dict) and "fields" in schema:
        schema = json.loads(json.dumps(schema).replace('"R"', '"takk.Order"'))
        schema["fields"] = [*order["fields"], *[dict(field, default=None) for field in schema["fields"]]]
    with RegistryServer() as server:
        codec = open_codec(server.url)
        number = server.add("orders-value", schema)
        codec.load(["order"], float("inf"))
        data = b"\0" + number.to_bytes(4, "big") + b"\xfe" * 9 + b"\x01" + b"\x02" * 300_000
        with pytest.raises(DecodeFailed) as refused:
            codec.decode("order", data)
    assert refused.value.reason == "unknown_schema"
