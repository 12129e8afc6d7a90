"""The record that a producer publishes, and its size."""

from __future__ import annotations

from collections.abc import Sequence
from operator import methodcaller
from typing import Any, NamedTuple, TypeAlias

from streams.runtime.kafka.limits import RECORD_OVERHEAD

Headers: TypeAlias = list[tuple[str, bytes]]


#: Reads headers by a call whose result Python checks for an error. Python 3.11 skips the check where it has specialized a method call.
_read_headers = methodcaller("headers")
#: Replaces the headers of a record that cannot be read.
_UNREADABLE: list[tuple[str, bytes | None]] = []


class ProducerRecord(NamedTuple):
    """A record for a topic, with its encoded key and value (None: a tombstone)."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers


def headers_of(record: Any) -> list[tuple[str, bytes | None]] | None:
    """Return the headers of a record that librdkafka has read, or None if the name of one is not UTF-8.

    librdkafka's binding then raises SystemError, although key and value are readable. A second call would return a list with a null pointer,
    which ends the process when it is used. Read headers only with this function.
    """
    try:
        headers = _read_headers(record)
    except Exception:  # noqa: BLE001 - the error is the answer: the caller goes on without headers
        if hasattr(record, "set_headers"):
            record.set_headers(_UNREADABLE)
        return None
    return None if headers is _UNREADABLE else list(headers or ())


def size_of(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] | None) -> int:
    """Return an upper bound of the bytes that a record needs in a topic, if its value cannot be compressed."""
    # A character has at most 4 bytes in UTF-8, and each header has two lengths of at most 5 bytes.
    size = sum(4 * len(name) + len(content or b"") + 10 for name, content in headers or ())
    return size + len(key or b"") + len(value or b"") + RECORD_OVERHEAD
