"""The note of a task: which records are being computed. It is a small memory-mapped file, and survives the process that ends meanwhile.

A store into the mapping costs less than a microsecond and no system call. The kernel keeps the page after a segmentation fault or kill -9 of
the process; a power failure may lose it, which is harmless.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from struct import Struct
from typing import NamedTuple

import msgspec

#: Bytes of a file: the place of every topic of a stage, of names as long as Kafka allows (249 characters), fits several times.
SIZE = 8192
#: Whether records are being computed; index of the topic and offset of the only one that is, or -1; length of the text that follows.
_HEAD = Struct("<?xhqH")
#: The index of a topic if no single record is known.
_NONE = -1


class Place(NamedTuple):
    """The place of one record of a partition: its topic and its offset."""

    topic: str
    offset: int


class Noted(NamedTuple):
    """The records that a process was computing when it ended.

    Attributes:
        stage, partition: the task.
        ranges: topic -> (first offset, last offset) of the batch.
        place: the record that was being computed, if a single one is known.
    """

    stage: str
    partition: int
    ranges: dict[str, tuple[int, int]]
    place: Place | None


class _Text(NamedTuple):
    """The part of a note that is written once per batch."""

    stage: str
    partition: int
    ranges: dict[str, tuple[int, int]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Text).decode


class CrashNote:
    """The note of one task.

    Args:
        folder: the folder of the notes of this process.
        stage, partition: the task.

    Raises:
        OSError: the file cannot be created, for example because the disk is full.
    """

    def __init__(self, folder: Path, stage: str, partition: int) -> None:
        self._stage, self._partition = stage, partition
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{stage}-{partition}").open("a+b") as file:
            # Without space on the disk, a store into the mapping would end the process.
            os.posix_fallocate(file.fileno(), 0, SIZE)
            self._map = mmap.mmap(file.fileno(), SIZE)
        self._topics: dict[str, int] = {}
        self.clear()

    @property
    def noted(self) -> Noted | None:
        """The records that are being computed now."""
        return _noted(self._map[:])

    def begin(self, ranges: Mapping[str, tuple[int, int]]) -> None:
        """Note that the records of a batch are being computed. `ranges` is topic -> (first offset, last offset)."""
        text = _encode(_Text(self._stage, self._partition, dict(ranges)))
        self._topics = {topic: index for index, topic in enumerate(ranges)}
        is_single = len(ranges) == 1 and all(first == last for first, last in ranges.values())
        end = _HEAD.size + len(text)
        if end > SIZE:
            _HEAD.pack_into(self._map, 0, False, _NONE, 0, 0)
            return
        self._map[_HEAD.size : end] = text
        offset = next(iter(ranges.values()))[0] if is_single else 0
        _HEAD.pack_into(self._map, 0, True, 0 if is_single else _NONE, offset, len(text))

    def at(self, topic: str, offset: int) -> None:
        """Note that of the batch this record is being computed."""
        # The index is written last: the record of the index and offset is always one of the batch.
        length = _HEAD.unpack_from(self._map)[3]
        if length:
            _HEAD.pack_into(self._map, 0, True, self._topics[topic], offset, length)

    def clear(self) -> None:
        """Note that nothing is being computed."""
        self._map[0] = 0

    def close(self) -> None:
        """Clear the note, and close the file."""
        self.clear()
        self._map.close()


def read_notes(folder: Path) -> Iterator[Noted]:
    """Yield the notes that earlier processes have left in `folder`. Files that are damaged are skipped."""
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if (noted := _noted(path.read_bytes())) is not None:
            yield noted


def _noted(data: bytes) -> Noted | None:
    if len(data) < _HEAD.size:
        return None
    is_computing, index, offset, length = _HEAD.unpack_from(data)
    if not is_computing:
        return None
    try:
        text = _decode(data[_HEAD.size : _HEAD.size + length])
    except msgspec.DecodeError:
        return None
    topics = list(text.ranges)
    return Noted(*text, Place(topics[index], offset) if 0 <= index < len(topics) else None)


def forget_notes(folder: Path) -> None:
    """Delete the notes in `folder`."""
    for path in folder.glob("*"):
        path.unlink()
