"""The compiled readers and writers against fastavro: the same bytes, the same records, the same errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.runtime.avro.compiled import Unsupported, compile_reader, compile_writer
from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.avro.schemas import load_schemas
from streams.wire.codec import SCHEMAS
from tests.harness.codec import CODEC
from tests.harness.examples import examples

RAW = load_schemas(SCHEMAS)
HEADER_BYTES = 10
FLAT = sorted(
    name
    for name, schema in RAW.items()
    if not any(
        "values" in str(f["type"]) or ("items" in str(f["type"]) and f["type"] != {"type": "array", "items": "string"})
        for f in schema["fields"]
    )
)

texts = st.one_of(st.text(max_size=20), st.text("abc-19", max_size=200), st.just("x" * 9000), st.just("æ" * 5000))
longs = st.one_of(
    st.integers(-70, 70),
    st.sampled_from([8191, 8192, (1 << 27) - 1, 1 << 27]),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers(0, 20_000),
)
times = st.one_of(
    st.integers(0, 4_102_444_800_000), st.integers(1_700_000_000_000, 1_900_000_000_000), st.integers(-(10**12), 10**14)
).map(lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))


def of(kind: Any, named: dict[str, st.SearchStrategy[Any]] | None = None) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of an Avro type, unusual ones included. `named` has the records of the schema so far."""
    named = {} if named is None else named
    if isinstance(kind, list):
        return st.one_of(*[of(branch, named) for branch in kind])
    if isinstance(kind, str) and kind in named:
        return named[kind]
    name = kind["type"] if isinstance(kind, dict) else kind
    if isinstance(kind, dict) and kind.get("logicalType") == "timestamp-millis":
        return times
    if name == "record":
        fields = {field["name"]: of(field["type"], named) for field in kind["fields"]}
        return named.setdefault(f"takk.{kind['name']}", st.fixed_dictionaries(fields))
    if name == "array":
        return st.lists(of(kind["items"], named), max_size=3)
    if name == "map":
        return st.dictionaries(texts, of(kind["values"], named), max_size=3)
    if name == "enum":
        return st.sampled_from(kind["symbols"])
    simple = {
        "null": st.none(),
        "string": texts,
        "bytes": st.binary(max_size=100),
        "int": st.integers(-(1 << 31), (1 << 31) - 1),
        "long": longs,
        "boolean": st.booleans(),
    }
    return simple[name]


def drawn(data: st.DataObject, name: str) -> dict[str, Any]:
    """Return a record of a schema. Half of them leave nearly all fields with a default out, as most producers do."""
    record: dict[str, Any] = data.draw(of(RAW[name]))
    optional = sorted(field["name"] for field in RAW[name]["fields"] if "default" in field)
    if data.draw(st.booleans()) and optional:
        kept = data.draw(st.sets(st.sampled_from(optional), max_size=2))
        record = {field: value for field, value in record.items() if field in kept or field not in optional}
    return record


def decoded(decode: Any, name: str, data: bytes) -> tuple[str, Any]:
    """Return the result of decoding: the record, or the kind of error."""
    try:
        return "record", decode(name, data)
    except DecodeFailed as error:
        return error.reason, error.detail


@given(st.data())
@settings(max_examples=examples(400), deadline=None)
def test_compiled_writers_write_what_fastavro_writes(data: st.DataObject) -> None:
    """For every record without lists: whichever fields are attributes, fixed, arguments or left to their default."""
    name = data.draw(st.sampled_from(FLAT))
    record = data.draw(of(RAW[name]))
    homes = {field: data.draw(st.sampled_from(["attribute", "fixed", "argument"])) for field in record}
    for field in RAW[name]["fields"]:
        if "default" in field and data.draw(st.booleans()):
            del record[field["name"]], homes[field["name"]]
    fields, fixed, arguments = (
        [field for field, home in homes.items() if home == kind] for kind in ("attribute", "fixed", "argument")
    )
    kinds = {field["name"]: field["type"] for field in RAW[name]["fields"]}
    encoded = [field for field in arguments if kinds[field] == "string" and data.draw(st.booleans())]
    write = CODEC.writer(name, fields, {field: record[field] for field in fixed}, arguments, encoded)
    values = {**record, **{field: record[field].encode() for field in encoded}}
    written = write(SimpleNamespace(**record), *(values[field] for field in arguments))
    assert written == CODEC.encode(name, record)


@given(st.data())
@settings(max_examples=examples(400), deadline=None)
def test_writers_of_mappings_write_what_fastavro_writes(data: st.DataObject) -> None:
    """For every schema, lists of records included, and with fields left to their default."""
    name = data.draw(st.sampled_from(sorted(RAW)))
    record = data.draw(of(RAW[name]))
    for field in RAW[name]["fields"]:
        if "default" in field and data.draw(st.sampled_from([True, False, False, False])):
            del record[field["name"]]
    assert CODEC.writer(name)(record) == CODEC.encode(name, record)


@given(st.data())
@settings(max_examples=examples(400), deadline=None)
def test_compiled_readers_read_what_fastavro_reads(data: st.DataObject) -> None:
    """For every schema; times keep their zone and texts their letters."""
    name = data.draw(st.sampled_from(sorted(RAW)))
    encoded = CODEC.encode(name, drawn(data, name))
    CODEC.decode(name, CODEC.encode(name, drawn(data, name)))  # the first record of a writer is never read compiled
    assert CODEC.decode(name, encoded) == CODEC._decode(name, encoded)


@given(st.data())
@settings(max_examples=examples(1500), deadline=None)
def test_damaged_records_get_the_same_answer(data: st.DataObject) -> None:
    """Bytes changed, cut out, put in or cut off: the compiled reader believes nothing that fastavro would refuse, and reads the same."""
    name = data.draw(
        st.sampled_from(["order", "shipment", "customer", "engagement", "timer", "checkpoint", "dead_letter"])
    )
    good = CODEC.encode(name, drawn(data, name))
    CODEC.decode(name, good)
    bad = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(HEADER_BYTES, max(HEADER_BYTES, len(bad) - 1)))
        bad[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.one_of(st.binary(max_size=2), st.sampled_from([b"\x80\x00", b"\x01", b"\xff" * 9 + b"\x01", b"\x03"]))
        )
    got, want = decoded(CODEC.decode, name, bytes(bad)), decoded(CODEC._decode, name, bytes(bad))
    assert got == want


@pytest.mark.parametrize("name", sorted(RAW))
def test_every_schema_is_compiled(name: str) -> None:
    """A schema that gets a type which is not compiled would be read and written slowly without a word."""
    schema = CODEC._readers[name]
    compile_reader(schema)
    if name in FLAT:
        compile_writer(schema, b"", [field["name"] for field in schema["fields"]], {}, ())


def test_orders_are_written_compiled() -> None:
    """A type that is not compiled would make each order of the gateway slow without a word."""
    schema = CODEC._readers["order"]
    compile_writer(schema, b"", [field["name"] for field in schema["fields"]], {}, (), is_mapping=True)


def test_what_is_not_compiled_is_refused_and_left_to_fastavro() -> None:
    """A union of two things, and a field without a value."""
    union = {"type": "record", "name": "R", "fields": [{"name": "f", "type": ["int", "string"]}]}
    with pytest.raises(Unsupported):
        compile_reader(union)
    with pytest.raises(Unsupported):
        compile_writer(union, b"", ["f"], {}, ())
    with pytest.raises(Unsupported):
        compile_writer(CODEC._readers["timer"], b"", ["timer_id"], {}, ())


def test_a_value_of_a_wrong_type_is_refused_as_by_fastavro() -> None:
    """Neither a number nor bytes pass for a text, and a text not for a number."""
    fields = [field["name"] for field in RAW["browsing"]["fields"]]
    good = dict.fromkeys(fields) | {"customer_id": "c", "kind": "viewed", "sku": "s", "occurred_at": datetime.now(UTC)}
    write = CODEC.writer("browsing", fields)
    for field, value in (("sku", 7), ("sku", None), ("kind", "dreamt"), ("occurred_at", "now"), ("session_id", 1.5)):
        record = {**good, field: value}
        with pytest.raises((ValueError, TypeError, AttributeError)) as plain:
            CODEC.encode("browsing", record)
        with pytest.raises(plain.type):
            write(SimpleNamespace(**record))


def test_times_of_another_zone_and_without_one() -> None:
    """Times in another zone, or without one, are encoded as fastavro encodes them."""
    write = CODEC.writer("browsing", ["customer_id", "kind", "sku", "occurred_at"])
    zone = timezone(timedelta(hours=5, minutes=30))
    for at in (
        datetime(2026, 3, 1, 5, 30, 0, 1999, zone),
        datetime(2026, 3, 1),  # noqa: DTZ001 - the case
        datetime(1950, 1, 1, 0, 0, 0, 1500, UTC),
    ):
        record = {"customer_id": "c", "kind": "viewed", "sku": "s", "occurred_at": at}
        assert write(SimpleNamespace(**record)) == CODEC.encode("browsing", record)
