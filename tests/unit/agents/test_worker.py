"""The process of a worker or mailer: its end when a newer version of Takk wrote the state."""

from __future__ import annotations

import faust
import pytest
import structlog

from streams.agents.worker import Worker
from streams.core.model.customer_codec import decode_customer
from streams.core.offers.code_pool_records import decode_entry as decode_pool
from streams.core.offers.popularity import decode_counts
from streams.mail.delivery.ledger import decode_entry
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
def test_state_of_a_newer_version_ends_the_process(
    name: str, decode: object, raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever state it is, the last line of the log says what to do, and the exit code is that of an error."""

    def run(worker: faust.Worker) -> None:
        assert callable(decode)
        decode(raw)

    monkeypatch.setattr(faust.Worker, "execute_from_commandline", run)
    with pytest.raises(SystemExit) as end, structlog.testing.capture_logs() as lines:
        Worker.__new__(Worker).execute_from_commandline()
    assert end.value.code == 1
    assert [line["event"] for line in lines] == ["the state was written by a newer Takk, exiting"]
    assert str(lines[0]["error"]).startswith(f"{name} of version 254")
