"""Batches: outputs, state changes and source offsets take effect together, in the right order, or not at all."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.runtime.errors import (
    CommitTimeout,
    InvalidRecord,
    Misrouted,
    PartitionRevoked,
    StateError,
    TooManyFailures,
)
from streams.runtime.processing.batch import CHANGELOG_MARKER, Batch
from streams.runtime.processing.guard import MAX_FAILURES_IN_A_ROW
from streams.runtime.state.offsets import HEADER, META, decode_offsets
from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.batches import committed, count_up, outputs
from tests.harness.kafka_fakes import CHANGELOG, TOPIC, FakeProducer, Record, batch, stage, task


@pytest.fixture
def store(tmp_path: Path) -> PartitionStore:
    return PartitionStore(tmp_path / "table" / "0", Memory(16))


def test_one_transaction_in_order(store: PartitionStore) -> None:
    """First outputs and changelog, then offsets, then the commit, then the disk with the position of the last changelog record."""
    one = batch(task(store), [Record(5, b"a"), Record(6, b"b"), Record(7, b"a")])
    one.apply(count_up)
    producer = committed(one)
    assert producer.calls == ["begin", "produce", "offsets", "commit"]
    assert [topic for topic, _, _ in producer.committed] == ["out"] * 3 + [CHANGELOG] * 2
    assert producer.committed[3:] == [(CHANGELOG, b"a", b"2"), (CHANGELOG, b"b", b"1")]
    assert producer.offsets == {TOPIC: 8}
    assert (store.get(b"a"), store.get(b"b"), store.position) == (b"2", b"1", 2)


@pytest.mark.parametrize("call", ["offsets", "commit"])
@pytest.mark.parametrize("code", [KafkaError._FENCED, KafkaError.INVALID_PRODUCER_ID_MAPPING])
def test_nothing_is_on_disk_before_the_commit(store: PartitionStore, code: int, call: str) -> None:
    """A failed commit leaves the disk unchanged, and calls `on_fatal`, also if the broker no longer knows the producer."""
    errors: list[Exception] = []
    of = task(store, stage(on_fatal=lambda stage, partition, error: errors.append(error)))
    one = batch(of, [Record(0)])
    one.apply(count_up)
    of.producer.fail[call] = KafkaException(KafkaError(code))
    with pytest.raises(KafkaException):
        committed(one)
    assert (store.get(b"k"), store.position) == (None, 0)
    assert of.producer.committed == []
    assert len(errors) == 1


def test_a_commit_that_hangs_is_given_up(store: PartitionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that hangs although the cluster answers calls `on_fatal`, which ends the process. While no broker answers, it waits."""
    errors: list[Exception] = []
    of = task(store, stage(on_fatal=lambda stage, partition, error: errors.append(error)))
    monkeypatch.setattr("streams.runtime.processing.batch.COMMIT_TIMEOUT_S", 0.05)
    one = batch(of, [Record(0)])
    one.apply(count_up)
    released = threading.Event()
    of.producer.hang["commit"] = released
    of.producer.answers = [False, False, True]
    with pytest.raises(CommitTimeout):
        committed(one)
    released.set()
    assert [type(error) for error in errors] == [CommitTimeout]
    assert of.producer.answers == []


def test_a_late_commit_does_not_write_to_the_store_of_a_closed_task(store: PartitionStore) -> None:
    """A commit that succeeds after its task was closed leaves the store to the next owner, which restores the changes."""
    of = task(store)
    one = batch(of, [Record(0)])
    one.apply(count_up)
    released = threading.Event()
    of.producer.hang["commit"] = released

    async def run() -> None:
        await one.commit()
        of.is_closed = True
        store.write({b"k": b"newer"}, 7)
        released.set()
        await one.done()

    asyncio.run(run())
    assert of.producer.committed
    assert (store.get(b"k"), store.position) == (b"newer", 7)


def test_a_retriable_error_is_retried(store: PartitionStore) -> None:
    """A commit with a retriable error is retried, and the transaction is committed once."""
    of = task(store)
    producer = of.producer
    commit = producer.commit_transaction
    errors = [KafkaException(KafkaError(KafkaError.REQUEST_TIMED_OUT, "x", retriable=True))]

    def fail_once() -> None:
        if errors:
            raise errors.pop()
        commit()

    producer.commit_transaction = fail_once
    one = batch(of, [Record(0)])
    one.apply(count_up)
    assert len(committed(one).committed) == 2
    assert store.get(b"k") == b"1"


def test_the_last_value_wins_and_none_deletes(store: PartitionStore) -> None:
    """A key that changes many times has one changelog record. None deletes it in changelog and store."""
    store.write({b"old": b"1"}, 1)
    one = batch(task(store), [Record(0)])
    one.put(b"a", b"1")
    one.put(b"a", b"2")
    one.put(b"old", None)
    assert (one.get(b"a"), one.get(b"old")) == (b"2", None)
    producer = committed(one)
    assert producer.committed == [(CHANGELOG, b"a", b"2"), (CHANGELOG, b"old", None)]
    assert (store.get(b"a"), store.get(b"old")) == (b"2", None)


def test_an_invalid_record_is_a_dead_letter_and_changes_nothing(store: PartitionStore) -> None:
    """A dead letter has the reason of `InvalidRecord`, or `failed` with the class of another error. The other records are processed."""
    failures: list[Exception] = []

    def handle(record: Any, of: Batch[Any]) -> Any:
        if record.value() == b"invalid":
            raise InvalidRecord("not_avro", "no data")
        if record.value() == b"bug":
            raise ZeroDivisionError("personal data")
        return count_up(record, of)

    of = task(store, stage(on_failure=lambda _, error: failures.append(error)))
    one = batch(of, [Record(0), Record(1, body=b"invalid"), Record(2, body=b"bug"), Record(3)])
    one.apply(handle)
    producer = committed(one)
    dead_letters = [value for topic, _, value in producer.committed if topic == "dead-letters"]
    assert dead_letters == [b"not_avro: no data", b"failed: ZeroDivisionError"]
    assert store.get(b"k") == b"2"
    assert producer.offsets == {TOPIC: 4}
    assert [type(error) for error in failures] == [ZeroDivisionError]


def test_a_misrouted_record_is_published_again(store: PartitionStore) -> None:
    """`Misrouted` publishes the same bytes on the same topic under the right key, and calls `on_misrouted`."""
    misrouted: list[Any] = []

    def handle(record: Any, of: Batch[Any]) -> Any:
        raise Misrouted(b"right")

    one = batch(task(store, stage(on_misrouted=misrouted.append)), [Record(0, b"wrong", b"body")])
    one.apply(handle)
    assert outputs(committed(one)) == [(TOPIC, b"right", b"body")]
    assert len(misrouted) == 1


def test_too_many_failures_in_a_row_stop(store: PartitionStore) -> None:
    """A handler that fails for every record stops the worker before the whole topic is moved to the dead letters."""

    def handle(record: Any, of: Batch[Any]) -> Any:
        raise ZeroDivisionError

    one = batch(task(store), [Record(n) for n in range(MAX_FAILURES_IN_A_ROW)])
    with pytest.raises(TooManyFailures):
        one.apply(handle)
    asyncio.run(one.abandon())
    producer: Any = one.task.producer
    assert producer.committed == []
    assert producer.calls[-1] == "abort"


def test_a_state_of_a_newer_version_stops_at_once(store: PartitionStore) -> None:
    """A worker that reads state of a newer version, as in an upgrade, stops. It moves no record to the dead letters."""

    def decode(raw: bytes) -> bytes:
        raise LookupError("written by a newer version")

    store.write({b"k": b"new"}, 1)
    one = batch(task(store, stage(decode=decode, is_too_new=LookupError)), [Record(0)])
    with pytest.raises(LookupError, match="newer"):
        one.apply(count_up)
    asyncio.run(one.abandon())
    producer: Any = one.task.producer
    assert producer.committed == []


def test_failures_between_valid_records_do_not_stop(store: PartitionStore) -> None:
    """Only failures in a row are counted."""

    def handle(record: Any, of: Batch[Any]) -> Any:
        if record.offset() % 2:
            raise ZeroDivisionError
        return count_up(record, of)

    one = batch(task(store), [Record(n) for n in range(4 * MAX_FAILURES_IN_A_ROW)])
    one.apply(handle)
    committed(one)
    assert store.get(b"k") == b"%d" % (2 * MAX_FAILURES_IN_A_ROW)


def test_decode_yields_valid_records(store: PartitionStore) -> None:
    """`decode` yields the valid records in order. An invalid record is a dead letter."""

    def handle(record: Any) -> int:
        if record.offset() == 1:
            raise InvalidRecord("bad_id", "x")
        return int(record.offset())

    one = batch(task(store), [Record(0), Record(1), Record(2)])
    assert list(one.decode(handle)) == [0, 2]
    assert [topic for topic, _, _ in outputs(committed(one))] == ["dead-letters"]


def test_a_full_queue_loses_nothing(store: PartitionStore) -> None:
    """While librdkafka's queue is full, the batch waits. Every output and change is produced once, in order."""
    of = task(store)
    of.producer.full_for = 3
    one = batch(of, [Record(n, b"%d" % n) for n in range(4)])
    one.apply(count_up)
    of.producer.full_for = 2
    producer = committed(one)
    assert [key for topic, key, _ in producer.committed if topic == "out"] == [b"0", b"1", b"2", b"3"]
    assert [key for topic, key, _ in producer.committed if topic == CHANGELOG] == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("full_for", [0, 1])
def test_changes_are_written_to_the_partition_of_their_task(store: PartitionStore, full_for: int) -> None:
    """The changelog record of a key is in the task's partition, whatever the key, also if it waits for room in librdkafka's queue."""
    of = task(store)
    one = batch(of, [Record(n, b"%d" % n) for n in range(4)])
    one.apply(count_up)
    of.producer.full_for = full_for
    producer = committed(one)
    assert producer.changelog_partitions == [0] * 4
    assert [bool(headers) for headers in producer.changelog_headers] == [False, False, False, True]


async def test_a_full_queue_does_not_stop_the_event_loop(store: PartitionStore) -> None:
    """While librdkafka's queue is full, as with a broker that is away, the event loop runs, and the batch waits in a thread."""
    of = task(store)
    producer: Any = of.producer
    producer.full_for = sys.maxsize
    one = batch(of, [Record(n, b"%d" % n) for n in range(4)])
    one.apply(count_up)
    await one.commit()
    await asyncio.to_thread(producer.polled.wait)
    assert one.committed is not None
    assert not one.committed.done()
    producer.full_for = 0
    await one.done()
    assert [key for topic, key, _ in producer.committed if topic == "out"] == [b"0", b"1", b"2", b"3"]


def test_a_revoked_partition_commits_nothing(store: PartitionStore) -> None:
    """The commit of a closed task raises `PartitionRevoked`."""
    one = batch(task(store), [Record(0)])
    one.apply(count_up)
    one.task.is_closed = True
    with pytest.raises(PartitionRevoked):
        asyncio.run(one.commit())
    producer: Any = one.task.producer
    assert producer.committed == []
    assert store.get(b"k") is None


def test_a_checkpoint_does_not_commit_the_offsets(store: PartitionStore) -> None:
    """After a checkpoint the changes are in Kafka and on disk, but the batch still counts as unread."""
    one = batch(task(store), [Record(0)])
    one.put(b"k", b"in flight")
    asyncio.run(one.checkpoint())
    producer: Any = one.task.producer
    assert (producer.committed, producer.offsets) == ([(CHANGELOG, b"k", b"in flight")], {})
    assert store.get(b"k") == b"in flight"
    one.put(b"k", b"sent")
    assert committed(one).offsets == {TOPIC: 1}
    assert (store.get(b"k"), store.position) == (b"sent", 2)


def test_acknowledged_changes_are_on_disk_after_the_commit(store: PartitionStore) -> None:
    """The broker has acknowledged changes at once, and nobody else: the transaction is open. The commit stores them with the later ones."""
    one = batch(task(store), [Record(0)])
    producer: Any = one.task.producer
    one.put(b"k", b"in flight")
    one.put(b"other", b"in flight")
    asyncio.run(one.acknowledge())
    assert producer.acknowledged == [(CHANGELOG, b"k", b"in flight"), (CHANGELOG, b"other", b"in flight")]
    assert (producer.committed, store.get(b"k"), one.has_uncommitted) == ([], None, True)
    one.put(b"k", b"sent")
    assert committed(one).calls == ["begin", "produce", "flush", "produce", "offsets", "commit"]
    assert (store.get(b"k"), store.get(b"other"), store.position) == (b"sent", b"in flight", 3)


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_change_that_is_not_acknowledged(store: PartitionStore, is_closed: bool) -> None:
    """A failed delivery ends the process, unless another process owns the partition: then the batch is given up."""
    errors: list[Exception] = []
    of = task(store, stage(on_fatal=lambda stage, partition, error: errors.append(error)))
    one = batch(of, [Record(0)])
    one.put(b"k", b"in flight")
    fenced = KafkaError(KafkaError._FENCED)

    def flush(wait_s: float) -> int:
        of.on_delivery(fenced, None)
        of.is_closed = is_closed
        return 0

    of.producer.flush = flush
    with pytest.raises(PartitionRevoked if is_closed else KafkaException):
        asyncio.run(one.acknowledge())
    assert len(errors) == (not is_closed)


def test_outputs_of_the_last_commit(store: PartitionStore) -> None:
    """A checkpoint leaves out what is sent only with the commit: the batch may be read again. The commit publishes it once."""
    one = batch(task(store), [Record(0)])
    with one.only_with_commit():
        one.send("late", b"k", b"1")
    one.send("out", b"k", b"2")
    asyncio.run(one.checkpoint())
    producer: Any = one.task.producer
    assert [topic for topic, _, _ in producer.committed] == ["out"]
    assert [topic for topic, _, _ in outputs(committed(one))] == ["out", "late"]


def test_records_are_ordered_by_topic(store: PartitionStore) -> None:
    """The records of several topics are ordered by the stage's topics, then by offset; the journal has the same order."""
    journal: list[Any] = []

    def note(partition: int, now_ms: int, offsets: Any, records: int) -> Any:
        journal.append((partition, now_ms, dict(offsets), records))
        return "journal", b"", b"", []

    of = task(store, stage(topics=("first", "second"), journal=note))
    mixed = [Record(3, of="second"), Record(8, of="first"), Record(4, of="second"), Record(9, of="first")]
    one = batch(of, mixed, now_ms=77)
    assert [(r.of, r.at) for r in one.records] == [("first", 8), ("first", 9), ("second", 3), ("second", 4)]
    assert committed(one).offsets == {"first": 10, "second": 5}
    assert journal == [(0, 77, {"first": (8, 9), "second": (3, 4)}, 4)]


def test_a_commit_without_changes_marks_the_changelog(store: PartitionStore) -> None:
    """A commit that changes nothing writes a tombstone under the reserved key, for the header. Older workers delete nothing with it."""
    of = task(store)
    committed(batch(of, [Record(0)]))
    producer = committed(batch(of, [Record(1)]))
    assert producer.committed == [(CHANGELOG, CHANGELOG_MARKER, None)] * 2
    assert store.position == 2
    assert list(store.items()) == []


def offsets_of(producer: FakeProducer) -> list[dict[str, int] | None]:
    """Return the offsets in the headers of the changelog records."""
    return [decode_offsets(dict(headers)[HEADER], "c") for headers in producer.changelog_headers if headers]


def test_offsets_belong_to_the_state(store: PartitionStore) -> None:
    """Each commit stores the offsets of all topics, in the header of its last changelog record and on disk."""
    of = task(store, stage(topics=("first", "second")))
    of.learn_offsets("c")
    one = batch(of, [Record(3, b"a", of="first"), Record(7, b"b", of="first")])
    one.apply(count_up)
    producer = committed(one)
    assert [bool(headers) for headers in producer.changelog_headers] == [False, True]
    committed(batch(of, [Record(4, of="second")]))
    one = batch(of, [])
    one.put(b"timer", b"1")
    asyncio.run(one.checkpoint())
    assert offsets_of(producer) == [{"first": 8}, {"first": 8, "second": 5}, {"first": 8, "second": 5}]
    assert decode_offsets(store.meta(META), "c") == {"first": 8, "second": 5}
    assert decode_offsets(store.meta(META), "another") is None
    later = task(store)
    later.learn_offsets("c")
    assert (later.offsets, later.knows_offsets) == ({"first": 8, "second": 5}, True)


def test_a_failed_commit_keeps_the_offsets(store: PartitionStore) -> None:
    """Offsets of a transaction that was not committed are neither on disk nor in the next header."""
    of = task(store)
    of.learn_offsets("c")
    committed(batch(of, [Record(3)]))
    of.producer.fail["commit"] = KafkaException(KafkaError(KafkaError._FENCED))
    with pytest.raises(KafkaException):
        committed(batch(of, [Record(4)]))
    assert of.offsets == {TOPIC: 4}
    assert decode_offsets(store.meta(META), "c") == {TOPIC: 4}


@pytest.mark.parametrize("how", ["apply", "decode"])
def test_unreadable_state_is_not_the_fault_of_a_record(store: PartitionStore, how: str) -> None:
    """A value that cannot be decoded ends the batch: no record becomes a dead letter, and the store is noted as damaged."""

    def decode(raw: bytes) -> Any:
        raise EOFError("cut")

    store.write({b"k": b"1"}, 1)
    one = batch(task(store, stage(decode=decode)), [Record(0)])
    with pytest.raises(StateError, match="cannot be decoded"):
        one.apply(count_up) if how == "apply" else list(one.decode(lambda record: count_up(record, one)))
    assert not one.sent
    assert "EOFError" in store.path.with_name("0.corrupt").read_text()


def test_state_that_cannot_be_opened_is_noted(store: PartitionStore) -> None:
    """A stage that cannot decode what it reads at the start of a task raises StateError, and the store is noted as damaged."""

    def open_it(partition: int, store: PartitionStore) -> None:
        raise EOFError("cut")

    with pytest.raises(StateError, match="cannot be decoded"):
        task(store, stage(open=open_it)).open()
    assert store.path.with_name("0.corrupt").exists()
