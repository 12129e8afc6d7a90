"""A record that a producer is given."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Headers: TypeAlias = list[tuple[str, bytes]]


class ProducerRecord(NamedTuple):
    """A record for a topic, with its encoded key and value."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers
