"""Both framings, older and newer schemas, and invalid records."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.runtime.avro.codec import Codec
from streams.runtime.avro.framing import DecodeFailed
from streams.runtime.avro.schemas import fingerprint_of, load_schemas
from streams.wire import topics
from streams.wire.codec import SCHEMAS, open_codec
from tests.harness import records
from tests.harness.codec import CODEC as PLAIN
from tests.harness.examples import examples

RAW = load_schemas(SCHEMAS)


@pytest.fixture
def registry(request: pytest.FixtureRequest) -> Any:
    """Return an in-memory registry of Confluent's own client, a separate one for each test."""
    return SchemaRegistryClient.new_client({"url": f"mock://{request.node.name}"})


def test_the_fingerprint_is_that_of_the_specification() -> None:
    """The Avro specification gives 0x7275d51a3f395c8f for "int". The header has its bytes in little-endian order."""
    assert fingerprint_of("int") == bytes.fromhex("7275d51a3f395c8f")[::-1]  # type: ignore[arg-type] # a schema may be a name


def test_without_a_registry_the_framing_is_avros_own() -> None:
    """A record starts with C3 01 and the fingerprint."""
    assert PLAIN.encode("order", records.order())[:10] == b"\xc3\x01" + fingerprint_of(RAW["order"])


def test_bytes_of_confluents_serializer_decode_here(registry: Any) -> None:
    """A record of another system's AvroSerializer is decoded, although that system registered its schema."""
    write = AvroSerializer(registry, json.dumps(RAW["order"]))
    data = write(records.order(), SerializationContext(topics.ORDERS, MessageField.VALUE))
    assert data[:1] == b"\x00"
    assert open_codec(registry=registry).decode("order", data) == records.order()


def test_bytes_from_here_decode_with_confluents_deserializer(registry: Any) -> None:
    """Another system's AvroDeserializer decodes a record written with a registry. Its subject is the topic's."""
    data = open_codec(registry=registry).encode("order", records.order())
    context = SerializationContext(topics.ORDERS, MessageField.VALUE)
    assert AvroDeserializer(registry)(data, context) == records.order()
    assert {"orders-value", "flow-delays-value", "flow-due-value"} <= set(registry.get_subjects())


def test_both_framings_are_read_whichever_is_written(registry: Any) -> None:
    """An installation that adds a registry later still reads its earlier records."""
    assert open_codec(registry=registry).decode("order", PLAIN.encode("order", records.order())) == records.order()


def test_a_registry_by_its_url(request: pytest.FixtureRequest) -> None:
    """The URL alone is enough. `mock://` is an in-memory registry."""
    codec = open_codec(f"mock://{request.node.name}")
    assert codec.decode("timer", codec.encode("timer", records.timer()))["timer_id"] == "t1"


def _older(change: Any) -> dict[str, Any]:
    schema = copy.deepcopy(RAW["order"])
    schema["fields"] = change(schema["fields"])
    return schema


def test_records_of_an_older_schema() -> None:
    """A newer field has its default. The older schema is found by its fingerprint."""
    older = _older(lambda fields: [field for field in fields if field["name"] != "time_zone"])
    data = Codec({"order": older}).encode("order", records.order())
    with pytest.raises(DecodeFailed) as unknown:
        PLAIN.decode("order", data)
    assert unknown.value.reason == "unknown_schema"
    assert Codec(RAW, history=[older]).decode("order", data) == records.order(time_zone=None)


def test_a_newer_writer_is_read_by_an_older_reader(registry: Any) -> None:
    """A field that this version does not know is dropped, and an unknown enum symbol reads as `unknown`."""
    newer = _older(lambda fields: [*fields, {"name": "gift", "type": "boolean", "default": False}])
    next(field for field in newer["fields"] if field["name"] == "kind")["type"]["symbols"].append("disputed")
    write = AvroSerializer(registry, json.dumps(newer))
    context = SerializationContext(topics.ORDERS, MessageField.VALUE)
    data = write(records.order(kind="disputed", gift=True), context)
    assert open_codec(registry=registry).decode("order", data) == records.order(kind="unknown")


def test_times_of_a_writer_without_logical_types() -> None:
    """A schema without logical types has the same canonical form, so its times are decoded as times."""
    plain = json.loads(json.dumps(RAW["timer"]).replace(', "logicalType": "timestamp-millis"', ""))
    data = Codec({"timer": plain}).encode("timer", records.timer(due_at=records.AT_MS))
    assert PLAIN.decode("timer", data)["due_at"] == records.AT


VALID = PLAIN.encode("order", records.order())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_avro"),
        (b'{"order_id": "o1"}', "not_avro"),
        (b"\xc3\x02" + VALID[2:], "not_avro"),
        (VALID + b"\x00", "not_avro"),
        (VALID[:5], "truncated"),
        (VALID[:10], "truncated"),
        (VALID[:-1], "truncated"),
        (b"\xc3\x01" + bytes(8) + VALID[10:], "unknown_schema"),
        (PLAIN.encode("shipment", records.shipment()), "unknown_schema"),
        (b"\x00\x00\x00\x00\x07" + VALID[10:], "unknown_schema"),
        (b"\x00\x00", "truncated"),
    ],
)
def test_invalid_records_have_a_reason(data: bytes, reason: str) -> None:
    """Each kind of invalid record has its reason, and the detail contains no data."""
    with pytest.raises(DecodeFailed) as error:
        PLAIN.decode("order", data)
    assert error.value.reason == reason
    assert "anna" not in error.value.detail


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=80), st.integers(0, len(VALID) - 11), st.sampled_from(sorted(RAW)))
def test_random_bytes_raise_only_decode_errors(garbage: bytes, at: int, name: str) -> None:
    """Any bytes after a valid header are either decoded or raise DecodeFailed, and no other error."""
    header = b"\xc3\x01" + fingerprint_of(RAW[name])
    for schema, data in (
        (name, header + garbage),
        ("order", VALID[: 10 + at] + garbage + VALID[10 + at + len(garbage) :]),
    ):
        try:
            assert isinstance(PLAIN.decode(schema, data), dict)
        except DecodeFailed as error:
            assert error.reason in {"not_avro", "unknown_schema", "truncated"}  # noqa: PT017 - a record is fine too


def test_an_impossible_length_is_invalid() -> None:
    """A string with a length of 2^60 bytes, or a negative length, needs no memory."""
    header = VALID[:10]
    for length in (b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x01", b"\xff" * 200):
        with pytest.raises(DecodeFailed):
            PLAIN.decode("order", header + length + b"o1")
