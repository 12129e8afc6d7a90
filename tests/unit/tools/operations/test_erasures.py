"""The erasures that `flow-delays` shows, and the dead letters that must not come back after one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streams.tools.operations.dead_letters import DeadLetter, of_erased
from streams.tools.operations.erasures import erasures_of
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.kafka_fakes import Record
from tests.harness.records import AT, AT_MS


def test_erasures() -> None:
    """A record without a value is an erasure of its key; the newest counts. Timers are not."""
    messages = [
        Record(0, b"c1", None, written_ms=AT_MS - 5),
        Record(1, b"c2", b"a timer", written_ms=AT_MS),
        Record(2, b"c1", None, written_ms=AT_MS),
        Record(3, b"", None, written_ms=AT_MS),
    ]
    assert erasures_of(messages) == {"c1": AT}


@pytest.mark.parametrize(("key", "hours", "is_left_out"), [(b"c1", -1, True), (b"c1", 1, False), (b"wrong", -1, True)])
def test_letters_of_erased_customers(key: bytes, hours: int, is_left_out: bool) -> None:
    """A letter from before the erasure is left out, by its key or by the customer that its record names. A later one is not."""
    letter = DeadLetter(
        topic="orders", partition=0, offset=1, key=key, value=CODEC.encode("order", records.order(customer_id="c1")), headers=(),
        reason="bad_currency", detail="", stage="flows", failed_at=AT + timedelta(hours=hours),
    )  # fmt: skip
    assert of_erased(CODEC, letter, {"c1": AT}) is is_left_out
    assert not of_erased(CODEC, letter, {"c2": datetime(2100, 1, 1, tzinfo=UTC)})
