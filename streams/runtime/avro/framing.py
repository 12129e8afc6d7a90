"""The bytes before the data of an Avro record, and the error for bytes that are not a record."""

from __future__ import annotations

from streams.runtime.errors import InvalidRecord

SINGLE_OBJECT = b"\xc3\x01"
CONFLUENT = b"\x00"
#: The number of bytes before the data in each framing.
SINGLE_OBJECT_HEADER = 10
CONFLUENT_HEADER = 5


class DecodeFailed(InvalidRecord):
    """The bytes are not a valid record of the expected schema.

    `reason` is `not_avro` (no known framing, or data that the schema cannot produce), `unknown_schema` (the writer's schema is unknown or
    incompatible) or `truncated` (the data ends too early). `detail` contains no data of the record.
    """


def schema_id(header: bytes) -> int:
    """Return the schema id of a header in the Confluent framing."""
    return int.from_bytes(header[1:], "big")


def header_size(data: bytes) -> int:
    """Return the number of bytes before the data of a record.

    Raises:
        DecodeFailed: the bytes have neither framing, or end within the header.
    """
    if data[:2] == SINGLE_OBJECT:
        size = SINGLE_OBJECT_HEADER
    elif data[:1] == CONFLUENT:
        size = CONFLUENT_HEADER
    else:
        raise DecodeFailed("not_avro", "neither Avro's single-object encoding nor the Confluent framing")
    if len(data) < size:
        raise DecodeFailed("truncated", f"the record has {len(data)} bytes, its header needs {size}")
    return size
