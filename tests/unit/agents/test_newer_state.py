"""The end of a process that meets state of a newer version."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import structlog

from streams.agents.newer_state import explain_newer_state
from streams.core.model.customer_codec import decode_customer
from streams.core.model.versioned_codec import UnknownVersion
from streams.core.offers.code_pool_records import decode_entry as decode_pool
from streams.core.offers.popularity import decode_counts
from streams.mail.delivery.ledger import decode_entry
from streams.runtime.errors import TimerTooNew
from streams.runtime.processing.timers import unpack


@pytest.mark.parametrize(
    ("name", "decode", "raw"),
    [
        ("customer state", decode_customer, b"\xfe"),
        ("code pool entry", decode_pool, b"\xfe"),
        ("sales counts", decode_counts, b"\xfe"),
        ("ledger entry", decode_entry, b"\xfe"),
        ("timer", unpack, b"\xff\xfe"),
    ],
)
def test_state_of_a_newer_version_is_explained(name: str, decode: Callable[[bytes], object], raw: bytes) -> None:
    """Whichever state it is, the log says that the process must be upgraded."""
    with pytest.raises((UnknownVersion, TimerTooNew)) as error:
        decode(raw)
    with structlog.testing.capture_logs() as lines:
        explain_newer_state(error.value)
    assert [line["event"] for line in lines] == ["the state was written by a newer Takk, exiting"]
    assert str(error.value).startswith(f"{name} of version 254")
    assert "upgrade this process" in lines[0]["hint"]


def test_other_errors_are_not_explained() -> None:
    """An error that is not about a version gets no such line."""
    with structlog.testing.capture_logs() as lines:
        explain_newer_state(ValueError("version"))
    assert lines == []
