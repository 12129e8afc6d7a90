"""State that released versions wrote: a worker must read it for ever, or an update loses what it held."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams import topics
from streams.core import customer_codec
from streams.core.effects import ScheduleStep
from streams.core.events import StepDue
from streams.mail import ledger
from streams.mail.ledger import Entry, decode_entry, encode_entry
from streams.runtime.timers import due_of, pack, timer_key, unpack
from streams.wire import Wire, open_codec

HERE = Path(__file__).parent
AT = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
DUE = datetime(2027, 11, 23, 8, 30, tzinfo=UTC)
ENTRY = Entry("in_flight", 3, AT, "4Q1", "disk-7")
STEP = ScheduleStep(timer_id="t" * 32, customer_id="c1", instance_id="i" * 32, flow="review", step="1", due_at=DUE)


def timer_bytes() -> bytes:
    """A timer as today's scheduler stores it: the table's key, then its value."""
    _, key, value, _ = Wire(open_codec()).output(STEP, AT)
    assert key is not None
    assert value is not None
    return timer_key(int(DUE.timestamp() * 1000), STEP.timer_id.encode()) + pack(key, value)


def test_a_ledger_entry_of_version_1() -> None:
    """What is known of a send in flight, with the disk that has notes of it."""
    assert decode_entry((HERE / "ledger_v1.bin").read_bytes()) == ENTRY


def test_a_timer_of_version_1() -> None:
    """A timer that waits a year is fired by whatever version runs then, for the same customer, flow and step."""
    raw = (HERE / "timer_v1.bin").read_bytes()
    assert due_of(raw) == int(DUE.timestamp() * 1000)
    key, value = unpack(raw[8 + len(STEP.timer_id) :])
    event = Wire(open_codec()).event(topics.DUE, key, value, int(DUE.timestamp() * 1000))
    assert isinstance(event, StepDue)
    assert (event.customer_id, event.instance_id, event.step) == ("c1", STEP.instance_id, "1")


@pytest.mark.parametrize(("kind", "version"), [("customer", customer_codec.VERSION), ("ledger", ledger.VERSION[0])])
def test_every_version_has_its_bytes(kind: str, version: int) -> None:
    """A version that is written today has a file here for each version there ever was."""
    assert sorted(path.name for path in HERE.glob(f"{kind}_v*.bin")) == [f"{kind}_v{n + 1}.bin" for n in range(version)]


def test_today_is_what_the_newest_file_holds() -> None:
    """Who changes what is written, and no version, learns it here."""
    assert encode_entry(ENTRY) == (HERE / "ledger_v1.bin").read_bytes()
    assert timer_bytes() == (HERE / "timer_v1.bin").read_bytes()
