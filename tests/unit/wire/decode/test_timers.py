"""The prefix of a timer that the scheduler reads."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.runtime.avro.framing import DecodeFailed
from streams.wire.decode.timers import timer_due
from streams.wire.validation import ValidationFailed
from tests.harness.effects import CODEC
from tests.harness.examples import examples
from tests.harness.records import timer


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=40), st.sampled_from([b"\xc3\x01" + bytes(8), bytes(5), b""]))
def test_any_bytes_are_a_timer_or_invalid(garbage: bytes, framing: bytes) -> None:
    """Reading the prefix raises only the two errors that become dead letters."""
    try:
        timer_id, due_ms = timer_due(framing + garbage)
    except (DecodeFailed, ValidationFailed):
        return
    assert timer_id
    assert 0 <= due_ms < 1 << 62


@pytest.mark.parametrize("due_ms", [-1, 1 << 45, (1 << 63) - 1])
def test_a_due_time_out_of_range_is_rejected(due_ms: int) -> None:
    """A due time before 1970 or after 2100 is invalid."""
    with pytest.raises(ValidationFailed, match="bad_time"):
        timer_due(CODEC.encode("timer", timer(due_at=due_ms)))


def test_an_endless_number_is_rejected_early() -> None:
    """Of a megabyte of continuation bytes only the first ten are read."""
    with pytest.raises((DecodeFailed, ValidationFailed)):
        timer_due(bytes(5) + b"\xff" * 1_000_000)
