"""The spool under any sequence of appends, crashes, torn ends, full disks and replays: no acknowledged record is lost, and the order stays."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.gateway.spool import Spool
from streams.runtime.kafka.producer_record import ProducerRecord

LIMIT, SEGMENT = 2_000, 300
#: The steps: requests are appended, a segment is published, the process crashes with a torn end, or the disk fails after some bytes.
STEPS = st.one_of(
    st.tuples(st.just("append"), st.lists(st.integers(1, 3), min_size=1, max_size=4)),
    st.tuples(st.just("publish"), st.just([1])),
    st.tuples(st.just("publish, then crash"), st.just([1])),
    st.tuples(st.just("crash"), st.lists(st.integers(0, 255), max_size=60)),
    st.tuples(st.just("full disk"), st.lists(st.integers(0, 120), min_size=1, max_size=1)),
)


class Machine:
    """A spool with a model of what must be in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spool = Spool(folder, LIMIT, SEGMENT)
        self.number = 0
        self.acknowledged: list[int] = []
        self.published: list[int] = []

    def group(self, size: int) -> list[ProducerRecord]:
        """Return the records of a new request."""
        numbers = range(self.number, self.number + size)
        self.number += size
        return [ProducerRecord("orders", b"c-1", b"%d" % number, [("ce_id", b"x")]) for number in numbers]

    def append(self, sizes: list[int]) -> None:
        """Append requests, and note those that are acknowledged."""
        groups = [self.group(size) for size in sizes]
        stored = self.spool.append(groups, 1.0)
        assert self.spool.size_bytes <= LIMIT
        self.acknowledged += [int(record.value or b"") for group in groups[:stored] for record in group]

    def publish(self, is_removed: bool = True) -> bool:
        """Publish the oldest segment. Return whether there was one."""
        self.spool.seal()
        segment = self.spool.oldest()
        if segment is None:
            return False
        self.published += [int(record.value or b"") for record in self.spool.read(segment)]
        if is_removed:
            self.spool.remove(segment)
        return True

    def crash(self, torn: list[int]) -> None:
        """Die after a part of a frame was written, and start again."""
        self.spool.close()
        if paths := sorted(self.folder.glob("*.spool")):
            with paths[-1].open("ab") as file:
                file.write(b"TSP1"[: len(torn)] + bytes(torn))
        self.spool = Spool(self.folder, LIMIT, SEGMENT)

    def fill_disk(self, room: int) -> None:
        """Append a request while the disk has room for some bytes only."""
        write = os.write

        def write_some(file: int, data: bytes | memoryview) -> int:
            nonlocal room
            if not room:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = write(file, bytes(data[:room]))
            room -= written
            return written

        group = self.group(2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "write", write_some)
            try:
                stored = self.spool.append([group], 1.0)
            except OSError:
                stored = 0
        self.acknowledged += [int(record.value or b"") for record in group] if stored else []


@given(st.lists(STEPS, max_size=25))
def test_nothing_acknowledged_is_lost(steps: list[tuple[str, list[int]]]) -> None:
    """Every acknowledged record is published, in order, and doubles repeat a whole part in its order."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        for kind, numbers in steps:
            if kind == "append":
                machine.append(numbers)
            elif kind == "publish":
                machine.publish()
            elif kind == "publish, then crash":
                machine.publish(is_removed=False)
                machine.crash([])
            elif kind == "crash":
                machine.crash(numbers)
            else:
                machine.fill_disk(numbers[0])
        while machine.publish():
            pass
        machine.spool.close()
    acknowledged, published = machine.acknowledged, machine.published
    assert set(acknowledged) <= set(published)
    # A request that was not acknowledged may be published, if the disk failed after its bytes were written. It is never out of its place.
    first = list(dict.fromkeys(published))
    last = list(dict.fromkeys(reversed(published)))
    assert first == sorted(first)
    assert last == sorted(last, reverse=True)
