"""Notes: what was being computed survives a process that ends in any way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from streams.runtime.isolation.note import CrashNote, Noted, Place, forget_notes, read_notes

RANGES = {"orders": (10, 19), "shipments": (3, 3)}
#: Notes a batch and a record in another process, which then ends by `{end}`.
PROGRAM = """
import ctypes, os, signal, sys
from pathlib import Path
from streams.runtime.isolation.note import CrashNote
note = CrashNote(Path(sys.argv[1]), "flows", 3)
note.begin({{"orders": (10, 19), "shipments": (3, 3)}})
note.at("orders", 12)
{end}
"""


@pytest.mark.parametrize("end", ["os._exit(1)", "os.kill(os.getpid(), signal.SIGKILL)", "ctypes.string_at(0)"])
def test_a_note_survives_its_process(tmp_path: Path, end: str) -> None:
    """After an exit, a kill and a segmentation fault the note names the record."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end), str(tmp_path / "notes")], check=False, timeout=60
    )
    assert done.returncode != 0
    assert list(read_notes(tmp_path / "notes")) == [Noted("flows", 3, RANGES, Place("orders", 12))]
    forget_notes(tmp_path / "notes")
    assert list(read_notes(tmp_path / "notes")) == []


def test_a_batch_of_one_record_names_it(tmp_path: Path) -> None:
    """A larger batch names no record until one is noted singly; a cleared note names nothing."""
    note = CrashNote(tmp_path, "flows", 0)
    assert note.noted is None
    note.begin({"orders": (7, 7)})
    assert note.noted == Noted("flows", 0, {"orders": (7, 7)}, Place("orders", 7))
    note.begin(RANGES)
    assert note.noted == Noted("flows", 0, RANGES, None)
    note.at("shipments", 3)
    assert note.noted == Noted("flows", 0, RANGES, Place("shipments", 3))
    note.clear()
    assert (note.noted, list(read_notes(tmp_path))) == (None, [])


def test_a_new_task_starts_without_a_note(tmp_path: Path) -> None:
    """The note of another process is gone: it has been published before."""
    CrashNote(tmp_path, "flows", 0).begin(RANGES)
    assert len(list(read_notes(tmp_path))) == 1
    CrashNote(tmp_path, "flows", 0)
    assert list(read_notes(tmp_path)) == []


def test_the_longest_names_fit(tmp_path: Path) -> None:
    """A stage with nine topics whose names are as long as Kafka allows can be noted."""
    ranges = {f"{number}".ljust(249, "x"): (0, (1 << 62) + number) for number in range(9)}
    note = CrashNote(tmp_path, "flows", 0)
    note.begin(ranges)
    assert note.noted == Noted("flows", 0, ranges, None)


def test_a_note_that_is_too_long_is_left_out(tmp_path: Path) -> None:
    """Such a batch is not noted, and neither are its records."""
    note = CrashNote(tmp_path, "flows", 0)
    note.begin(RANGES)
    ranges = {f"{number}".ljust(249, "x"): (0, 1) for number in range(40)}
    note.begin(ranges)
    note.at(next(iter(ranges)), 1)
    assert note.noted is None


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01" * 8192, b"\xff" * 100])
def test_a_damaged_note_is_skipped(tmp_path: Path, data: bytes) -> None:
    """Whatever is in a file, reading the notes does not fail."""
    (tmp_path / "flows-0").write_bytes(data)
    assert list(read_notes(tmp_path)) == []
