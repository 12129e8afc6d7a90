"""Both framings, old schemas, and bytes that are no record."""

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

from streams.runtime.avro.codec import Codec, DecodeFailed, fingerprint_of, load_schemas
from streams.wire import topics
from streams.wire.codec import SCHEMAS, open_codec
from tests.harness import records

RAW = load_schemas(SCHEMAS)
PLAIN = open_codec()


@pytest.fixture
def registry(request: pytest.FixtureRequest) -> Any:
    """A registry of its own for each test, kept in memory by Confluent's own client."""
    return SchemaRegistryClient.new_client({"url": f"mock://{request.node.name}"})


def test_the_fingerprint_is_that_of_the_specification() -> None:
    """The Avro project's own vector for "int" is 0x7275d51a3f395c8f; in the header its bytes come last first."""
    assert fingerprint_of("int") == bytes.fromhex("7275d51a3f395c8f")[::-1]  # type: ignore[arg-type] # a schema may be a name


def test_without_a_registry_the_framing_is_avros_own() -> None:
    """C3 01, then the fingerprint."""
    assert PLAIN.encode("order", records.order())[:10] == b"\xc3\x01" + fingerprint_of(RAW["order"])


def test_bytes_of_confluents_serializer_decode_here(registry: Any) -> None:
    """What a neighbour writes with AvroSerializer is read, though its schema was registered by them."""
    write = AvroSerializer(registry, json.dumps(RAW["order"]))
    data = write(records.order(), SerializationContext(topics.ORDERS, MessageField.VALUE))
    assert data[:1] == b"\x00"
    assert open_codec(registry=registry).decode("order", data) == records.order()


def test_bytes_from_here_decode_with_confluents_deserializer(registry: Any) -> None:
    """What is written with a registry is read by a neighbour's AvroDeserializer; its subject is the topic's."""
    data = open_codec(registry=registry).encode("order", records.order())
    context = SerializationContext(topics.ORDERS, MessageField.VALUE)
    assert AvroDeserializer(registry)(data, context) == records.order()
    assert {"orders-value", "flow-delays-value", "flow-due-value"} <= set(registry.get_subjects())


def test_both_framings_are_read_whichever_is_written(registry: Any) -> None:
    """A world that gets a registry later still reads what it wrote before."""
    assert open_codec(registry=registry).decode("order", PLAIN.encode("order", records.order())) == records.order()


def test_a_registry_by_its_address(request: pytest.FixtureRequest) -> None:
    """The address alone is enough; `mock://` is kept in memory."""
    codec = open_codec(f"mock://{request.node.name}")
    assert codec.decode("timer", codec.encode("timer", records.timer()))["timer_id"] == "t1"


def _older(change: Any) -> dict[str, Any]:
    schema = copy.deepcopy(RAW["order"])
    schema["fields"] = change(schema["fields"])
    return schema


def test_records_of_an_older_schema_decode_for_ever() -> None:
    """A field that is new since has its default; the old schema is found by its fingerprint."""
    older = _older(lambda fields: [field for field in fields if field["name"] != "time_zone"])
    data = Codec({"order": older}).encode("order", records.order())
    with pytest.raises(DecodeFailed) as unknown:
        PLAIN.decode("order", data)
    assert unknown.value.reason == "unknown_schema"
    assert Codec(RAW, history=[older]).decode("order", data) == records.order(time_zone=None)


def test_a_newer_writer_is_read_by_an_older_reader(registry: Any) -> None:
    """A field and an enum symbol that this version does not know: the field is left out, the symbol reads as `unknown`."""
    newer = _older(lambda fields: [*fields, {"name": "gift", "type": "boolean", "default": False}])
    next(field for field in newer["fields"] if field["name"] == "kind")["type"]["symbols"].append("disputed")
    write = AvroSerializer(registry, json.dumps(newer))
    context = SerializationContext("elsewhere", MessageField.VALUE)
    data = write(records.order(kind="disputed", gift=True), context)
    assert open_codec(registry=registry).decode("order", data) == records.order(kind="unknown")


def test_times_hold_though_the_writer_does_not_call_them_times() -> None:
    """A writer whose schema has the same data but no logical types has the same canonical form: the times are times."""
    plain = json.loads(json.dumps(RAW["timer"]).replace(', "logicalType": "timestamp-millis"', ""))
    data = Codec({"timer": plain}).encode("timer", records.timer(due_at=records.AT_MS))
    assert PLAIN.decode("timer", data)["due_at"] == records.AT


GOOD = PLAIN.encode("order", records.order())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_avro"),
        (b'{"order_id": "o1"}', "not_avro"),
        (b"\xc3\x02" + GOOD[2:], "not_avro"),
        (GOOD + b"\x00", "not_avro"),
        (GOOD[:5], "truncated"),
        (GOOD[:10], "truncated"),
        (GOOD[:-1], "truncated"),
        (b"\xc3\x01" + bytes(8) + GOOD[10:], "unknown_schema"),
        (PLAIN.encode("shipment", records.shipment()), "unknown_schema"),
        (b"\x00\x00\x00\x00\x07" + GOOD[10:], "unknown_schema"),
        (b"\x00\x00", "truncated"),
    ],
)
def test_bytes_that_are_no_order_say_why(data: bytes, reason: str) -> None:
    """Each way to be no order has its reason, and the detail repeats nothing of the data."""
    with pytest.raises(DecodeFailed) as error:
        PLAIN.decode("order", data)
    assert error.value.reason == reason
    assert "anna" not in error.value.detail


def test_an_id_that_the_registry_does_not_know(registry: Any) -> None:
    """Unknown, and the registry is asked once only however many such records come."""
    asked = []

    class Counting:
        def register_schema(self, *args: Any) -> Any:
            return registry.register_schema(*args)

        def get_schema(self, number: int) -> Any:
            asked.append(number)
            return registry.get_schema(number)

    codec = open_codec(registry=Counting())
    for _ in range(3):
        with pytest.raises(DecodeFailed) as error:
            codec.decode("order", b"\x00\x00\x00\xff\xff" + GOOD[10:])
        assert error.value.reason == "unknown_schema"
    assert asked == [0xFFFF]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.integers(0, len(GOOD) - 11), st.sampled_from(sorted(RAW)))
def test_garbage_is_undecodable_and_nothing_else(garbage: bytes, at: int, name: str) -> None:
    """Whatever lies behind a good header either is a record or raises DecodeFailed; nothing else ever comes out."""
    header = b"\xc3\x01" + fingerprint_of(RAW[name])
    for schema, data in (
        (name, header + garbage),
        ("order", GOOD[: 10 + at] + garbage + GOOD[10 + at + len(garbage) :]),
    ):
        try:
            assert isinstance(PLAIN.decode(schema, data), dict)
        except DecodeFailed as error:
            assert error.reason in {"not_avro", "unknown_schema", "truncated"}  # noqa: PT017 - a record is as good


def test_a_length_that_no_memory_holds_is_refused() -> None:
    """A string said to have 2^60 bytes, or fewer than none, costs nothing."""
    header = GOOD[:10]
    for length in (b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x01", b"\xff" * 200):
        with pytest.raises(DecodeFailed):
            PLAIN.decode("order", header + length + b"o1")
