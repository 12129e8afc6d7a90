"""The spool: records that the gateway accepted while Kafka was away, on disk until they are published.

A folder has segments, files of frames. A frame has the records of one request: `MAGIC`, their length and their CRC-32 (4 bytes each, big-endian),
and the records in MessagePack. `append` returns after fsync. The oldest segment is published first and then deleted as a whole, so a process
that dies in between publishes it again: doubles have no effect, and the order stays. A frame that a crash cut off was never acknowledged. A
damaged frame is skipped and counted, and those behind it are found by their first bytes.

A lock on the folder keeps other processes out. The successor of a dead process, with the same name on the same volume, gets the lock and
publishes its records.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias
from zlib import crc32

import msgspec
import structlog

from streams.runtime.errors import NameInUse
from streams.runtime.kafka.producer_record import ProducerRecord

log = structlog.get_logger(__name__)

#: First bytes of each frame; the digit is the version of the format.
MAGIC = b"TSP1"
HEAD_BYTES = len(MAGIC) + 8
#: A segment that has grown past this size gets no more frames.
SEGMENT_BYTES = 2 << 20
SUFFIX = ".spool"

#: The records of one request, as they are on the disk.
_Group: TypeAlias = list[tuple[str, bytes, bytes | None, list[tuple[str, bytes]]]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Group).decode


@dataclass
class Segment:
    """A file of frames.

    Attributes:
        number: its place in the order.
        path: the file.
        size_bytes: bytes of its frames.
        records: the number of its records.
        opened_at: Unix time of its first frame.
    """

    number: int
    path: Path
    size_bytes: int
    records: int
    opened_at: float


class Spool:
    """The spool of one process. Its methods may be called from several threads.

    Args:
        folder: its folder, created if missing.
        limit_bytes: bytes of all segments together, at most.

    Raises:
        NameInUse: another process has the folder.
        OSError: the folder cannot be used.
    """

    def __init__(self, folder: Path, limit_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._segment_bytes = segment_bytes
        self._mutex = threading.Lock()
        self._lock_file = _lock(folder)
        self._damaged: dict[Path, int] = {}
        #: The file of the newest segment, while it gets frames.
        self._file: int | None = None
        self._segments: list[Segment] = []
        try:
            for path in sorted(folder.glob(f"*{SUFFIX}")):
                records = sum(len(frame) for frame in self._frames(path))
                status = path.stat()
                self._segments.append(Segment(int(path.stem), path, status.st_size, records, status.st_mtime))
        except BaseException:
            self._lock_file.close()
            raise
        self._next = self._segments[-1].number + 1 if self._segments else 1

    @property
    def damaged(self) -> int:
        """The frames that could not be read since the start."""
        return sum(self._damaged.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments together."""
        return sum(segment.size_bytes for segment in self._segments)

    @property
    def records(self) -> int:
        """The number of records that are not published yet."""
        return sum(segment.records for segment in self._segments)

    @property
    def oldest_at(self) -> float | None:
        """Unix time of the oldest segment; None if the spool is empty."""
        oldest = self.oldest()
        return None if oldest is None else oldest.opened_at

    def oldest(self) -> Segment | None:
        """Return the segment to publish next, or None if the spool is empty."""
        return self._segments[0] if self._segments else None

    def append(self, groups: Sequence[Sequence[ProducerRecord]], now: float) -> int:
        """Store groups of records in order, and return how many groups are safe: all, or those that the spool had room for.

        Args:
            groups: the records of each request. They are stored together or not at all.
            now: Unix time.

        Raises:
            OSError: the disk failed; no group is safe.
        """
        with self._mutex:
            frames, left = [], self._limit_bytes - self.size_bytes
            for group in groups:
                frame = _frame(group)
                if len(frame) > left:
                    break
                left -= len(frame)
                frames.append(frame)
            if frames:
                self._write(b"".join(frames), sum(len(group) for group in groups[: len(frames)]), now)
            return len(frames)

    def seal(self) -> None:
        """Let the next `append` begin a new segment, so that the present ones can be read to their end."""
        with self._mutex:
            self._seal()

    def read(self, segment: Segment) -> list[ProducerRecord]:
        """Return the records of a sealed segment."""
        return [ProducerRecord(*record) for frame in self._frames(segment.path) for record in frame]

    def remove(self, segment: Segment) -> None:
        """Delete a segment whose records the broker has acknowledged.

        Raises:
            OSError: the file cannot be deleted.
        """
        with self._mutex:
            segment.path.unlink()
            # Otherwise a power failure could bring the segment back, behind records that were published since.
            sync_folder(self._folder)
            self._segments.remove(segment)

    def set_aside(self, record: ProducerRecord) -> None:
        """Keep a record that the broker refuses for good, in the file `refused` of the folder.

        Raises:
            OSError: the disk failed.
        """
        file = os.open(self._folder / "refused", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _write_all(file, _frame([record]))
            os.fsync(file)
        finally:
            os.close(file)

    def close(self) -> None:
        """Close the files, and let another process have the folder. The records stay."""
        with self._mutex:
            self._seal()
            self._lock_file.close()

    def _write(self, data: bytes, records: int, now: float) -> None:
        if self._file is None or self._segments[-1].size_bytes >= self._segment_bytes:
            self._seal()
            self._file = self._begin_segment(now)
        file, segment = self._file, self._segments[-1]
        try:
            if not segment.size_bytes:
                sync_folder(self._folder)
            _write_all(file, data)
            os.fsync(file)
        except OSError:
            # It is unknown how much reached the disk, so nothing is written behind it. A successor may publish it, which is harmless.
            with contextlib.suppress(OSError):
                os.ftruncate(file, segment.size_bytes)
            self._abandon_file(segment)
            raise
        segment.size_bytes += len(data)
        segment.records += records

    def _begin_segment(self, now: float) -> int:
        number = self._next
        path = self._folder / f"{number:012d}{SUFFIX}"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._next += 1
        self._segments.append(Segment(number, path, 0, 0, now))
        return file

    def _abandon_file(self, segment: Segment) -> None:
        with contextlib.suppress(OSError):
            self._seal()
        if not segment.size_bytes:
            with contextlib.suppress(OSError):
                segment.path.unlink()
            self._segments.remove(segment)

    def _seal(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _frames(self, path: Path) -> Iterator[_Group]:
        data, at, damaged = path.read_bytes(), 0, 0
        while at < len(data):
            end = at + HEAD_BYTES
            size, check = int.from_bytes(data[at + 4 : at + 8], "big"), data[at + 8 : end]
            body = data[end : end + size]
            if data[at : at + 4] == MAGIC and len(body) == size and crc32(body).to_bytes(4, "big") == check:
                yield _decode(body)
                at = end + size
                continue
            following = data.find(MAGIC, at + 1)
            if following < 0:
                # The end of the file is what a crash cut off, before its records were acknowledged.
                break
            damaged += 1
            at = following
        if damaged > self._damaged.get(path, 0):
            self._damaged[path] = damaged
            log.error("damaged records in the spool are lost", at=str(path), count=damaged)


def _frame(group: Sequence[ProducerRecord]) -> bytes:
    body = _encode(group)
    return b"".join((MAGIC, len(body).to_bytes(4, "big"), crc32(body).to_bytes(4, "big"), body))


def _lock(folder: Path) -> BinaryIO:
    file = (folder / "lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise NameInUse(f"another gateway uses the spool in {folder}") from None
    except BaseException:
        file.close()
        raise
    return file


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe against a power failure.

    Raises:
        OSError: the disk failed.
    """
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
