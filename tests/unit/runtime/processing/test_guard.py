"""The guard of a record: it is accepted with all that it causes, or only its dead letter is published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.runtime.errors import InvalidRecord, Misrouted
from streams.runtime.isolation.crashes import Crashes
from streams.runtime.isolation.note import CrashNote, Noted, Place
from streams.runtime.kafka.limits import DEFAULT_TOPIC_BYTES, MAX_RECORD_BYTES, RECORD_OVERHEAD
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.guard import Changes
from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.batches import committed, count_up, outputs
from tests.harness.kafka_fakes import CHANGELOG, TOPIC, Record, batch, stage, task

#: Bytes that a value may have in a topic with the default limit, under a key of one byte and without headers.
FITS = DEFAULT_TOPIC_BYTES - RECORD_OVERHEAD - 1


@pytest.fixture
def store(tmp_path: Path) -> PartitionStore:
    return PartitionStore(tmp_path / "table" / "0", Memory(16))


class UnreadableHeaders(Record):
    """A record whose header has a name that is not UTF-8: librdkafka raises for all of its headers."""

    def headers(self) -> list[tuple[str, bytes]] | None:
        raise SystemError("returned a result with an exception set")


def value_of(record: Any, of: Batch[Any]) -> Any:
    """A handler that stores the value of the record, and publishes a small output and then the value."""
    value = record.value()
    return record.key(), value, [("small", record.key(), b"x", []), ("out", record.key(), value, [])]


def test_a_state_that_cannot_be_encoded_is_its_records_failure(store: PartitionStore) -> None:
    """The record changes nothing and publishes only its dead letter; the records around it are processed."""

    def encode(value: bytes) -> bytes:
        if value == b"odd":
            raise OverflowError("too large a number")
        return b"state " + value

    one = batch(task(store, stage(encode=encode)), [Record(0, b"a"), Record(1, b"a", b"odd"), Record(2, b"b")])
    one.apply(value_of)
    assert one.get(b"a") == b"v"
    topics = [(topic, key) for topic, key, _ in committed(one).committed]
    assert topics == [
        ("small", b"a"), ("out", b"a"), ("dead-letters", b"a"), ("small", b"b"), ("out", b"b"), (CHANGELOG, b"a"), (CHANGELOG, b"b"),
    ]  # fmt: skip
    assert (store.get(b"a"), store.get(b"b")) == (b"state v", b"state v")


@pytest.mark.parametrize("size", [FITS, FITS + 1])
def test_an_output_is_measured_before_any_is_published(store: PartitionStore, size: int) -> None:
    """An output above the limit of its topic makes its record a dead letter, and the outputs before it stay unpublished."""
    of = task(store, stage(limits={CHANGELOG: MAX_RECORD_BYTES}))
    one = batch(of, [Record(0, b"a", b"x" * size)])
    one.apply(value_of)
    written = outputs(committed(one))
    if size == FITS:
        assert [topic for topic, _, _ in written] == ["small", "out"]
        assert store.get(b"a") is not None
    else:
        ((topic, _, letter),) = written
        assert topic == "dead-letters"
        assert letter is not None
        assert letter.startswith(b"too_large: a record of 1,000,013 bytes for out")
        assert store.get(b"a") is None


def test_a_state_is_measured(store: PartitionStore) -> None:
    """A state above the limit of the changelog makes its record a dead letter."""
    of = task(store, stage(limits={"out": MAX_RECORD_BYTES, CHANGELOG: 600_000}))
    one = batch(of, [Record(0, b"a", b"x" * 600_000)])
    one.apply(value_of)
    ((topic, _, letter),) = outputs(committed(one))
    assert (topic, letter and letter[:9]) == ("dead-letters", b"too_large")
    assert one.get(b"a") is None


@pytest.mark.parametrize("headers", [[], [("h", b"x" * 2000)]])
def test_a_misrouted_record_that_does_not_fit_is_a_dead_letter(
    store: PartitionStore, headers: list[tuple[str, bytes]]
) -> None:
    """The bound of a republished record includes its headers. Only records that are republished are counted as such."""

    def handle(record: Any, of: Batch[Any]) -> Any:
        raise Misrouted(b"k")

    misrouted: list[Any] = []
    size = FITS + 1 if not headers else FITS - 2000
    records = [Record(0, b"wrong", b"x" * size, annotations=headers), Record(1, b"wrong", b"y" * (size - 100))]
    one = batch(task(store, stage(on_misrouted=misrouted.append)), records)
    one.apply(handle)
    written = outputs(committed(one))
    assert [topic for topic, _, _ in written] == ["dead-letters", TOPIC]
    assert misrouted == [records[1]]


def test_a_misrouted_record_with_unreadable_headers_is_published_without_them(store: PartitionStore) -> None:
    """Nothing needs the headers, and the record must reach its customer."""

    def handle(record: Any, of: Batch[Any]) -> Any:
        raise Misrouted(b"right")

    one = batch(task(store), [UnreadableHeaders(0, b"wrong")])
    one.apply(handle)
    assert outputs(committed(one)) == [(TOPIC, b"right", b"v")]


def test_the_state_is_encoded_once_per_record(store: PartitionStore) -> None:
    """The commit reuses the bytes of the guard, and encodes what was put otherwise."""
    encoded: list[bytes] = []

    def encode(value: bytes) -> bytes:
        encoded.append(value)
        return value

    one = batch(
        task(store, stage(encode=encode)), [Record(0, b"a", b"1"), Record(1, b"a", b"2"), Record(2, b"b", b"3")]
    )
    one.apply(value_of)
    one.put(b"b", b"4")
    committed(one)
    assert encoded == [b"1", b"2", b"3", b"4"]
    assert (store.get(b"a"), store.get(b"b")) == (b"2", b"4")


def test_several_changes_of_a_record_take_effect_together(store: PartitionStore) -> None:
    """A record that fails after some of its changes has made none, and one that deletes deletes."""
    store.write({b"old": b"1"}, 1)

    def handle(record: Any, changes: Changes) -> Any:
        changes.put(b"a", record.value())
        assert changes.get(b"a") == record.value()
        changes.put(b"old", None)
        assert changes.get(b"old") is None
        if record.value() == b"invalid":
            raise InvalidRecord("bad_id", "x")
        changes.put(b"b", changes.get(b"a"))
        return [("out", b"o", b"x" * (2_000_000 if record.value() == b"large" else 1), [])]

    one = batch(task(store), [Record(0, body=b"invalid"), Record(1, body=b"large")])
    one.apply_changes(handle)
    assert (one.get(b"a"), one.get(b"b"), one.get(b"old")) == (None, None, b"1")
    assert [topic for topic, _, _ in outputs(committed(one))] == ["dead-letters", "dead-letters"]
    two = batch(one.task, [Record(2, body=b"2")])
    two.apply_changes(handle)
    committed(two)
    assert (store.get(b"a"), store.get(b"b"), store.get(b"old")) == (b"2", b"2", None)


def crashes(suspect: int | None, count: int) -> Crashes:
    """Return crashes at the offsets 0 to 9."""
    place = None if suspect is None else Place(TOPIC, suspect)
    return Crashes(
        stage="stage", partition=0, ranges={TOPIC: (0, 9)}, count=3, suspect=place, suspect_count=count, at_ms=1000
    )


def test_a_batch_is_noted_while_it_is_computed(store: PartitionStore, tmp_path: Path) -> None:
    """The note has the offsets of the batch. It is cleared afterwards, and when the worker stops for a reason that it knows."""
    of = task(store, stage(is_too_new=LookupError))
    of.note = CrashNote(tmp_path / "notes", "stage", 0)
    seen: list[Noted | None] = []

    def handle(record: Any, of: Batch[Any]) -> Any:
        assert of.task.note is not None
        seen.append(of.task.note.noted)
        if record.value() == b"newer":
            raise LookupError
        return None, None, []

    batch(of, [Record(5), Record(6)]).apply(handle)
    assert seen == [Noted("stage", 0, {TOPIC: (5, 6)}, None)] * 2
    assert of.note.noted is None
    with pytest.raises(LookupError):
        batch(of, [Record(7, body=b"newer")]).apply(handle)
    assert seen[2:] == [Noted("stage", 0, {TOPIC: (7, 7)}, Place(TOPIC, 7))]
    assert of.note.noted is None
    batch(of, []).apply(handle)
    for _ in batch(of, [Record(8), Record(9)]).decode(lambda record: record):
        assert of.note.noted == Noted("stage", 0, {TOPIC: (8, 9)}, None)
    assert of.note.noted is None


def test_after_a_crash_each_record_is_noted(store: PartitionStore, tmp_path: Path) -> None:
    """At the offsets of the crash the note names the record, and no longer after them. A panic keeps the note."""
    of = task(store)
    of.note = CrashNote(tmp_path / "notes", "stage", 0)
    of.crashes = crashes(3, 1)
    seen: list[Place | None] = []

    class Panic(BaseException):
        """An error of another kind than Exception, such as a panic in a library written in Rust."""

    def handle(record: Any, of: Batch[Any]) -> Any:
        assert of.task.note is not None
        assert of.task.note.noted is not None
        seen.append(of.task.note.noted.place)
        if record.value() == b"panic":
            raise Panic
        return None, None, []

    batch(of, [Record(2), Record(3)]).apply(handle)
    batch(of, [Record(4), Record(9)]).apply(handle)
    assert of.crashes is None
    batch(of, [Record(10), Record(11)]).apply(handle)
    assert seen == [Place(TOPIC, 2), Place(TOPIC, 3), Place(TOPIC, 4), Place(TOPIC, 9), None, None]
    of.crashes = crashes(3, 1)
    with pytest.raises(Panic):
        batch(of, [Record(3), Record(4, body=b"panic")]).apply(handle)
    assert of.note.noted == Noted("stage", 0, {TOPIC: (3, 4)}, Place(TOPIC, 4))


def test_a_condemned_record_is_a_dead_letter(store: PartitionStore, tmp_path: Path) -> None:
    """It is not handled; its offset is committed with those of the others."""
    of = task(store)
    of.note = CrashNote(tmp_path / "notes", "stage", 0)
    of.crashes = crashes(3, 2)
    one = batch(of, [Record(2), Record(3, b"poison"), Record(4)])
    one.apply(count_up)
    producer = committed(one)
    assert [(topic, key) for topic, key, _ in producer.committed if topic != CHANGELOG] == [
        ("out", b"k"), ("dead-letters", b"poison"), ("out", b"k"),
    ]  # fmt: skip
    assert producer.offsets == {TOPIC: 5}
    assert (store.get(b"k"), store.get(b"poison")) == (b"2", None)
