"""The crash log: what a process finds of its predecessor is published before anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.agents import crash_log as module
from streams.agents.crash_log import KafkaCrashLog, report_crashes
from streams.runtime.isolation.crashes import Crashes
from streams.runtime.isolation.note import CrashNote, Place, read_notes
from streams.wire.decode.crash_notes import decode_crashes
from streams.wire.encode.crash_notes import encode_crashes
from tests.harness.codec import CODEC
from tests.harness.kafka_fakes import Record

NOW_MS = 1_700_000_000_000


def crashes(**changes: Any) -> Crashes:
    """Return two crashes at one record."""
    fields: dict[str, Any] = {
        "stage": "flows", "partition": 3, "ranges": {"orders": (10, 19), "shipments": (2, 2)}, "count": 2,
        "suspect": Place("orders", 12), "suspect_count": 1, "at_ms": NOW_MS,
    }  # fmt: skip
    return Crashes(**(fields | changes))


@pytest.mark.parametrize("written", [crashes(), crashes(suspect=None, suspect_count=0)])
def test_crashes_are_read_as_they_were_written(written: Crashes) -> None:
    """Key and value identify the task and hold all fields."""
    key, value = encode_crashes(CODEC, written)
    assert (key, decode_crashes(CODEC, value)) == (b"flows/3", written)


class FakeLog(KafkaCrashLog):
    """A crash log in memory, which can be unreachable."""

    def __init__(self, *known: Crashes) -> None:
        self.known = {(each.stage, each.partition): each for each in known}
        self.is_down = False

    def read(self) -> dict[tuple[str, int], Crashes]:
        """Return what is known."""
        return dict(self.known)

    def publish(self, crashes: Any) -> None:
        """Keep the crashes."""
        if self.is_down:
            raise TimeoutError
        self.known |= {(each.stage, each.partition): each for each in crashes}


def test_notes_are_published_and_then_deleted(tmp_path: Path) -> None:
    """A note adds to what other processes know; without the broker it stays for the next start."""
    note = CrashNote(tmp_path, "flows", 3)
    note.begin({"orders": (10, 25)})
    note.at("orders", 12)
    CrashNote(tmp_path, "scheduler", 0)
    log = FakeLog(crashes())
    log.is_down = True
    with pytest.raises(TimeoutError):
        report_crashes(log, tmp_path, NOW_MS + 5)
    log.is_down = False
    report_crashes(log, tmp_path, NOW_MS + 5)
    (found,) = log.known.values()
    assert (found.count, found.suspect_count, found.condemned) == (3, 2, Place("orders", 12))
    assert list(read_notes(tmp_path)) == []
    report_crashes(log, tmp_path, NOW_MS + 9)
    assert log.known["flows", 3] == found


def test_a_repeated_report_counts_a_crash_once(tmp_path: Path) -> None:
    """If the broker accepted a record but its answer was lost, the next attempt of the same start adds nothing."""
    note = CrashNote(tmp_path, "flows", 3)
    note.begin({"orders": (10, 25)})
    note.at("orders", 12)

    class LostAnswer(FakeLog):
        """A log whose first answer is lost."""

        def publish(self, crashes: Any) -> None:
            """Keep the crashes; the first time, raise nevertheless."""
            super().publish(crashes)
            if not self.is_down:
                self.is_down = True
                raise TimeoutError

    log = LostAnswer()
    with pytest.raises(TimeoutError):
        report_crashes(log, tmp_path, NOW_MS)
    log.is_down = False
    report_crashes(FakeLog(*log.known.values()), tmp_path, NOW_MS)
    assert log.known["flows", 3].suspect_count == 1
    assert list(read_notes(tmp_path)) == []


def test_invalid_records_of_the_topic_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest valid record of each task counts."""
    older, newer = crashes(count=2), crashes(count=3)
    values = [encode_crashes(CODEC, older)[1], encode_crashes(CODEC, newer)[1], b"invalid", b""]
    records = [Record(offset, body=value) for offset, value in enumerate(values)]
    monkeypatch.setattr(module, "read_to_the_end", lambda kafka, topics, group_id: records)
    assert KafkaCrashLog({}, CODEC, "group").read() == {("flows", 3): newer}
