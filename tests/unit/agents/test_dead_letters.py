"""The dead letters of a stage: whatever a record is like, one can be written."""

from __future__ import annotations

from typing import Any

import pytest

from streams.agents.instrumentation import Instrumentation
from streams.core.model.customer_codec import decode_customer, encode_customer
from tests.harness.codec import CODEC
from tests.harness.kafka_fakes import Record
from tests.harness.records import AT_MS

STAGE: Any = Instrumentation(CODEC).stage(
    "flows", ("orders",), table="customers", encode=encode_customer, decode=decode_customer
)


class Odd(Record):
    """A record whose methods raise, or return what they should not."""

    def __init__(self, **broken: Any) -> None:
        super().__init__(7, b"c1", b"body")
        self._broken = broken

    def _answer(self, name: str, value: Any) -> Any:
        broken = self._broken.get(name, value)
        if isinstance(broken, Exception):
            raise broken
        return broken

    def headers(self) -> Any:
        return self._answer("headers", [("h", b"1")])

    def value(self) -> Any:
        return self._answer("value", b"body")


@pytest.mark.parametrize(
    ("broken", "value", "headers"),
    [
        ({}, b"body", [{"name": "h", "value": b"1"}]),
        ({"headers": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x")}, b"body", []),
        ({"headers": [("\ud800", b"1")]}, b"body", []),
        ({"headers": SystemError("librdkafka")}, b"body", []),
        ({"value": SystemError("librdkafka")}, None, []),
        ({"value": 5}, None, []),
    ],
)
def test_a_dead_letter_contains_what_is_readable(broken: dict[str, Any], value: bytes | None, headers: Any) -> None:
    """With headers, without them, or with the position alone: the dead letter exists, and says what it lacks."""
    letter = STAGE.dead_letter(Odd(**broken), "not_avro", "x", AT_MS)
    fields = CODEC.decode("dead_letter", letter.value)
    assert (fields["topic"], fields["partition"], fields["offset"], fields["stage"]) == ("orders", 0, 7, "flows")
    assert (fields["value"], fields["headers"], fields["has_all_headers"]) == (value, headers, not broken)
    assert (fields["value_bytes"] is None) == (value is not None)
