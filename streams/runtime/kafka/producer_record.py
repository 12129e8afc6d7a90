"""The record that a producer publishes, and its size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from streams.runtime.kafka.limits import RECORD_OVERHEAD

Headers: TypeAlias = list[tuple[str, bytes]]


class ProducerRecord(NamedTuple):
    """A record for a topic, with its encoded key and value (None: a tombstone)."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers


def headers_of(record: Any) -> list[tuple[str, bytes | None]] | None:
    """Return the headers of a record that librdkafka has read, or None if the name of one is not UTF-8.

    librdkafka then raises for all of them, although key and value are readable.
    """
    try:
        return list(record.headers() or ())
    except Exception:  # noqa: BLE001 - librdkafka's binding raises UnicodeDecodeError or SystemError; the caller goes on without headers
        return None


def size_of(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] | None) -> int:
    """Return an upper bound of the bytes that a record needs in a topic, if its value cannot be compressed."""
    # A character has at most 4 bytes in UTF-8, and each header has two lengths of at most 5 bytes.
    size = sum(4 * len(name) + len(content or b"") + 10 for name, content in headers or ())
    return size + len(key or b"") + len(value or b"") + RECORD_OVERHEAD
