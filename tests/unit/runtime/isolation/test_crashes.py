"""Crashes: which record is condemned, and which never is."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.isolation.crashes import MAX_AGE_MS, Crashes, with_note
from streams.runtime.isolation.note import Noted, Place
from tests.harness.kafka_fakes import Record

NOW_MS = 1_700_000_000_000
TOPIC = "orders"


def note(first: int, last: int, offset: int | None = None, topic: str = TOPIC) -> Noted:
    """Return a note of a batch, and of one record of it."""
    return Noted("flows", 0, {topic: (first, last)}, None if offset is None else Place(topic, offset))


def crashes_of(*notes: Noted) -> Crashes:
    """Return the crashes after these notes."""
    crashes: Crashes | None = None
    for number, each in enumerate(notes):
        crashes = with_note(crashes, each, NOW_MS + number)
    assert crashes is not None
    return crashes


def test_the_same_record_twice_is_condemned() -> None:
    """The first crash shows the batch, the second one the record, and the third one condemns it. Batches may grow in between."""
    assert crashes_of(note(10, 19)).condemned is None
    assert crashes_of(note(10, 19), note(10, 25, 12)).condemned is None
    crashes = crashes_of(note(10, 19), note(10, 25, 12), note(12, 12, 12))
    assert (crashes.condemned, crashes.count, crashes.ranges) == (Place(TOPIC, 12), 3, {TOPIC: (10, 25)})


def test_different_records_are_not_condemned() -> None:
    """Kills from outside during one batch strike different records."""
    crashes = crashes_of(note(10, 19), note(10, 19, 12), note(10, 19, 15), note(10, 19), note(10, 19, 12))
    assert (crashes.condemned, crashes.suspect, crashes.count) == (None, Place(TOPIC, 12), 5)


@given(st.lists(st.none() | st.integers(10, 19), min_size=1, max_size=12))
def test_only_a_record_that_is_named_twice_running_is_condemned(offsets: list[int | None]) -> None:
    """Whatever the crashes, the condemned record is the one of the last two crashes that name a record."""
    crashes = crashes_of(*[note(10, 19, offset) for offset in offsets])
    named = [offset for offset in offsets if offset is not None]
    expected = Place(TOPIC, named[-1]) if len(named) > 1 and named[-1] == named[-2] else None
    assert crashes.condemned == expected


def test_other_offsets_start_anew() -> None:
    """A batch after the crashes has a history of its own; a note of an earlier batch, found late, changes nothing."""
    first = crashes_of(note(10, 19), note(10, 19, 12))
    later = with_note(first, note(30, 39, 31), NOW_MS)
    assert (later.count, later.suspect, later.suspect_count) == (1, Place(TOPIC, 31), 1)
    assert with_note(later, note(10, 19, 12), NOW_MS) == later
    assert with_note(first, note(0, 5, topic="shipments"), NOW_MS).count == 1
    assert with_note(first, note(12, 12, 12), NOW_MS + 1 + MAX_AGE_MS).suspect_count == 1


def test_crashes_end_with_their_offsets() -> None:
    """They are void once all their offsets are committed, and after a day; the clock may have been set back."""
    crashes = crashes_of(note(10, 19), note(10, 19, 12))
    assert not crashes.is_past({TOPIC: 10}, NOW_MS + 1)
    assert not crashes.is_past({}, NOW_MS + 1)
    assert crashes.is_past({TOPIC: 20}, NOW_MS + 1)
    assert crashes.is_past({TOPIC: 10}, NOW_MS + 2 + MAX_AGE_MS)
    assert crashes.is_past({TOPIC: 10}, NOW_MS - MAX_AGE_MS)
    assert crashes.after({TOPIC: (10, 15)}) == crashes
    assert crashes.after({TOPIC: (10, 19)}) is None
    assert crashes.after({"shipments": (0, 99)}) == crashes


def sizes(crashes: Crashes, offsets: Sequence[int]) -> list[int]:
    """Return the sizes of the batches in which these records are processed."""
    records, found = [Record(offset) for offset in offsets], []
    while records:
        end = crashes.batch_end(records)
        found.append(end)
        records = records[end:]
    return found


def test_the_suspect_is_alone_in_its_batch() -> None:
    """The records before it and after it are batches of their own."""
    crashes = crashes_of(note(10, 19), note(10, 19, 12))
    assert sizes(crashes, range(10, 20)) == [2, 1, 7]
    assert sizes(crashes, [12, 13]) == [1, 1]
    assert sizes(crashes, [13, 14]) == [2]
    assert sizes(crashes_of(note(10, 19)), range(10, 20)) == [10]
    assert crashes.is_suspect([Record(12)])
    assert not crashes.is_suspect([Record(13), Record(12, of="shipments")])
    assert crashes.covers([Record(9), Record(19)])
    assert not crashes.covers([Record(20), Record(12, of="shipments")])
