"""The spool on a real disk: order, bound, lock, torn and damaged frames, and a disk that fails."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from streams.gateway import spool as module
from streams.gateway.spool import Spool
from streams.runtime.errors import NameInUse
from streams.runtime.kafka.producer_record import ProducerRecord


def record(number: int) -> ProducerRecord:
    """Return a record with a header and, if the number is even, no value."""
    value = None if number % 2 else b"%d" % number
    return ProducerRecord("email-engagement", b"c-%d" % number, value, [("ce_id", b"%d" % number)])


def all_of(spool: Spool) -> list[ProducerRecord]:
    """Return all records of a spool in order."""
    spool.seal()
    return [found for segment in list(spool._segments) for found in spool.read(segment)]


def test_records_return_in_order(tmp_path: Path) -> None:
    """Appended records are read in the same order, by the successor too."""
    spool = Spool(tmp_path, 1 << 20, segment_bytes=100)
    for number in range(0, 20, 2):
        assert spool.append([[record(number), record(number + 1)]], 5.0) == 1
    expected = [record(number) for number in range(20)]
    assert all_of(spool) == expected
    assert spool.records == 20
    spool.close()
    after = Spool(tmp_path, 1 << 20)
    assert all_of(after) == expected
    assert after.records == 20


def test_a_segment_leaves_as_a_whole(tmp_path: Path) -> None:
    """A segment that was published is gone from the disk, and the others stay."""
    spool = Spool(tmp_path, 1 << 20, segment_bytes=1)
    spool.append([[record(0)]], 5.0)
    spool.append([[record(1)]], 6.0)
    first = spool.oldest()
    assert first is not None
    assert spool.oldest_at == 5.0
    spool.remove(first)
    assert not first.path.exists()
    assert all_of(spool) == [record(1)]


def test_the_bound(tmp_path: Path) -> None:
    """Past the bound, the first groups that fit are safe, and a group is never cut in two."""
    spool = Spool(tmp_path, 150)
    assert spool.append([[record(0)], [record(1), record(2), record(3)], [record(4)]], 5.0) == 1
    assert all_of(spool) == [record(0)]


def test_another_process_has_the_folder(tmp_path: Path) -> None:
    """Only one process has the folder. A process that ends gives it free."""
    spool = Spool(tmp_path, 1 << 20)
    with pytest.raises(NameInUse):
        Spool(tmp_path, 1 << 20)
    spool.close()
    Spool(tmp_path, 1 << 20).close()


def test_a_torn_end(tmp_path: Path) -> None:
    """A frame that a crash cut off is left out, wherever it was cut."""
    spool = Spool(tmp_path, 1 << 20)
    spool.append([[record(0)]], 5.0)
    spool.close()
    (path,) = tmp_path.glob("*.spool")
    whole = path.read_bytes()
    frame = module._frame([record(2)])
    for length in range(len(frame)):
        path.write_bytes(whole + frame[:length])
        after = Spool(tmp_path, 1 << 20)
        assert all_of(after) == [record(0)]
        assert after.damaged == 0
        after.close()


def test_a_damaged_frame_costs_itself_only(tmp_path: Path) -> None:
    """A damaged byte loses the frame that has it, is counted, and the frames behind it are found."""
    spool = Spool(tmp_path, 1 << 20)
    spool.append([[record(0)], [record(2)], [record(4)]], 5.0)
    spool.close()
    (path,) = tmp_path.glob("*.spool")
    data = bytearray(path.read_bytes())
    data[len(module._frame([record(0)])) + 20] ^= 1
    path.write_bytes(data)
    after = Spool(tmp_path, 1 << 20)
    assert all_of(after) == [record(0), record(4)]
    assert after.damaged == 1


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A write that fails acknowledges nothing, and the spool works again when the disk has room."""
    spool = Spool(tmp_path, 1 << 20)
    spool.append([[record(0)]], 5.0)

    def fail(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space"):
            spool.append([[record(2)]], 6.0)
    spool.append([[record(4)]], 7.0)
    assert all_of(spool) == [record(0), record(4)]
    assert spool.size_bytes == sum(path.stat().st_size for path in tmp_path.glob("*.spool"))


def test_a_refused_record_is_kept(tmp_path: Path) -> None:
    """A record that was set aside is in a file of its own, and is not published again."""
    spool = Spool(tmp_path, 1 << 20)
    spool.set_aside(record(0))
    spool.close()
    assert (tmp_path / "refused").read_bytes() == module._frame([record(0)])
    assert Spool(tmp_path, 1 << 20).oldest() is None
