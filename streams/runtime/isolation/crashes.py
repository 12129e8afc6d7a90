"""Crashes: what is known of the records that ended a process, and the record that is given up for it.

The first crash while a batch is computed shows its offsets only. From then on the records of those offsets are noted one by one. The next
crash shows the record; it becomes the suspect, and is computed alone in its batch. If the process ends again, exactly that record has ended
it twice, and becomes a dead letter.

A kill from outside looks like a crash. It condemns a record only if two of them strike while the same single record is computed, which
takes less than a millisecond, after a third has struck in the same batch. A commit in between makes the crash history of the batch void.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from streams.runtime.isolation.note import Noted, Place

#: Crashes while exactly one record was computed, after which the record becomes a dead letter.
MAX_RECORD_CRASHES = 2
#: Milliseconds after which crashes no longer count. A topic that was recreated meanwhile has other records at the same offsets.
MAX_AGE_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Crashes:
    """The crashes of one task at the same offsets.

    Attributes:
        stage, partition: the task.
        ranges: topic -> (first offset, last offset) of the batches.
        count: the number of crashes.
        suspect: the record that was computed at the last crash whose record is known.
        suspect_count: the number of crashes while it was.
        at_ms: the time of the last crash's note, in milliseconds since 1970.
    """

    stage: str
    partition: int
    ranges: Mapping[str, tuple[int, int]]
    count: int
    suspect: Place | None
    suspect_count: int
    at_ms: int

    @property
    def condemned(self) -> Place | None:
        """The record that becomes a dead letter."""
        return self.suspect if self.suspect_count >= MAX_RECORD_CRASHES else None

    def covers(self, records: Sequence[Any]) -> bool:
        """Return whether any of the records has an offset of the crashes."""
        for record in records:
            first, last = self.ranges.get(record.topic(), (0, -1))
            if first <= record.offset() <= last:
                return True
        return False

    def is_past(self, committed: Mapping[str, int], now_ms: int) -> bool:
        """Return whether the crashes are too old, or all their offsets are committed. `committed` is topic -> the next offset to read."""
        if abs(now_ms - self.at_ms) >= MAX_AGE_MS:  # the clocks of two hosts differ
            return True
        return all(last < committed.get(topic, 0) for topic, (_, last) in self.ranges.items())

    def after(self, ranges: Mapping[str, tuple[int, int]]) -> Crashes | None:
        """Return the crashes at offsets after a batch, or None if there are no such offsets. `ranges` are those of the batch."""
        left = {topic: span for topic, span in self.ranges.items() if topic not in ranges or span[1] > ranges[topic][1]}
        return replace(self, ranges=left) if left else None

    def is_suspect(self, records: Sequence[Any]) -> bool:
        """Return whether the suspect is among the records."""
        return self.suspect is not None and any((r.topic(), r.offset()) == self.suspect for r in records)

    def batch_end(self, records: Sequence[Any]) -> int:
        """Return how many of the next records of the partition may be one batch: the suspect is alone in its batch."""
        for index, record in enumerate(records):
            if self.suspect is not None and (record.topic(), record.offset()) == self.suspect:
                return index or 1
        return len(records)


class CrashLog(Protocol):
    """The crashes of all workers of the group."""

    def read(self) -> Mapping[tuple[str, int], Crashes]:
        """Return the crashes of each (stage, partition)."""


def with_note(before: Crashes | None, note: Noted, at_ms: int) -> Crashes:
    """Return the crashes of a task after the one that left `note`.

    Args:
        before: the crashes so far.
        note: the note.
        at_ms: the time of the note, in milliseconds since 1970.
    """
    new = Crashes(
        stage=note.stage,
        partition=note.partition,
        ranges=note.ranges,
        count=1,
        suspect=note.place,
        suspect_count=1 if note.place else 0,
        at_ms=at_ms,
    )
    if before is None or at_ms - before.at_ms >= MAX_AGE_MS:
        return new
    if not _overlap(before.ranges, note.ranges):
        # Another worker may have gone on since the note was written.
        return before if _is_older(note.ranges, before.ranges) else new
    ranges = {**before.ranges}
    for topic, (first, last) in note.ranges.items():
        low, high = ranges.get(topic, (first, last))
        ranges[topic] = (min(first, low), max(last, high))
    merged = replace(before, ranges=ranges, count=before.count + 1, at_ms=max(at_ms, before.at_ms))
    if note.place is None:
        return merged
    if note.place == before.suspect:
        return replace(merged, suspect_count=before.suspect_count + 1)
    return replace(merged, suspect=note.place, suspect_count=1)


def _overlap(one: Mapping[str, tuple[int, int]], other: Mapping[str, tuple[int, int]]) -> bool:
    return any(
        topic in other and first <= other[topic][1] and other[topic][0] <= last for topic, (first, last) in one.items()
    )


def _is_older(one: Mapping[str, tuple[int, int]], other: Mapping[str, tuple[int, int]]) -> bool:
    return any(topic in other and last < other[topic][0] for topic, (_, last) in one.items())
