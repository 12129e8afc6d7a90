"""The record that a producer publishes."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Headers: TypeAlias = list[tuple[str, bytes]]


class ProducerRecord(NamedTuple):
    """A record for a topic, with its encoded key and value (None: a tombstone)."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers
