"""Faults of the state and of what surrounds it, with a real broker: no record is lost, counted twice, or blamed for them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_END, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import NewPartitions

from streams.runtime.app import EXIT_FATAL
from streams.runtime.processing.fetcher import Fetcher
from streams.runtime.processing.stage import Stage
from streams.tools.local.kafka.broker import EmbeddedKafka
from tests.harness.kafka_faults import damage, delete_records
from tests.harness.stack import PATIENCE_S, wait_until
from tests.integration.counter import PARTITIONS
from tests.integration.jobs import REFUSAL_PATIENCE_S, STATIC, Job, Worker, keep, make_records

pytestmark = pytest.mark.campaign


def test_a_damaged_block(job: Job) -> None:
    """A worker that reads a damaged block ends, moves the store away and restores it. No record becomes a dead letter."""
    worker = job.worker("one")
    job.publish(*make_records(200))
    worker.start(*STATIC)
    job.await_output()
    assert worker.stop() == 0
    damaged = worker.stores()[0]
    damage(damaged, b"customer")
    job.publish(*make_records(200, start=200))
    worker.start(*STATIC)
    job.await_output()  # restarts the worker, as a supervisor does
    assert worker.stop() == 0
    job.check()
    assert worker.contents() == job.expected_state()
    assert [path.name.partition("-")[0] for path in damaged.parent.glob("*.corrupt*")] == [f"{damaged.name}.corrupt"]
    assert "state cannot be read, exiting" in worker.log()


def refused(worker: Worker, words: str, *options: str) -> None:
    """Start a worker, and check that it ends with these words."""
    worker.start(*options)
    assert worker.await_exit(REFUSAL_PATIENCE_S) not in (0, EXIT_FATAL)
    assert words in worker.log()


def run(job: Job, worker: Worker, *options: str) -> None:
    """Let a worker process the whole input. It leaves its group at the end."""
    worker.start(*options)
    job.await_output()
    assert worker.stop() == 0
    job.wait_until_empty()


@pytest.mark.parametrize("after", [keep, shutil.rmtree], ids=["kept", "wiped"])
def test_expired_offsets(job: Job, after: Callable[[Path], None]) -> None:
    """With the offsets of the group gone, a worker continues where its state ends: it reads no record twice."""
    worker = job.worker("one")
    job.publish(*make_records(200))
    run(job, worker)
    job.admin.delete_consumer_groups([job.app])[job.app].result()
    after(worker.disk)
    job.publish(*make_records(200, start=200))
    run(job, worker)
    job.check()
    assert worker.contents() == job.expected_state()
    assert worker.log().count("continuing at the offset of the state") == PARTITIONS


def test_retention_overtakes(job: Job) -> None:
    """Records that were deleted before they were read are reported with their offsets. The records behind them are processed."""
    worker = job.worker("one")
    job.publish(*make_records(200))
    run(job, worker)
    before = list(job.input)
    job.publish(*make_records(200, start=200))
    delete_records(job.admin, f"{job.app}-in", dict.fromkeys(range(PARTITIONS), OFFSET_END))
    job.input = before
    job.publish(*make_records(200, start=400))
    run(job, worker)
    job.check()
    assert worker.log().count("records were deleted before they were read") == PARTITIONS


def test_the_fetcher_passes_deleted_records(job: Job) -> None:
    """A reader whose offset no longer exists asks where to continue, and reads every record from there on."""
    topic, asked = f"{job.app}-in", list[tuple[str, int, int]]()

    def start_of(topic: str, partition: int, position: int) -> int:
        asked.append((topic, partition, position))
        return 3

    job.publish(*make_records(200))
    delete_records(job.admin, topic, dict.fromkeys(range(PARTITIONS), 3))
    stage: Any = Stage(name="counter", topics=(topic,), dead_letter=lambda record, reason, detail, now: record)
    fetcher = Fetcher(
        {"bootstrap.servers": job.bootstrap},
        "fetcher",
        {topic: stage},
        {},
        batch_records=500,
        batch_bytes=1 << 20,
        start_of=start_of,
    )
    fetcher.starts = [TopicPartition(topic, number, number) for number in range(PARTITIONS)]
    move = fetcher.next_move()
    fetcher.seek(move)
    records = []
    wait_until(
        lambda: records.extend(fetcher.read(0.1, move)) or len(records) >= 200 - 3 * PARTITIONS, "all records are read"
    )
    fetcher.close()
    assert sorted(asked) == [(topic, number, number) for number in range(3)]
    places = [(record.partition(), record.offset()) for record in records]
    assert len(set(places)) == len(places) == 200 - 3 * PARTITIONS


def test_a_recreated_input(job: Job) -> None:
    """A worker whose input is shorter than what it has read refuses to start, until an operator sets the offsets and says so."""
    worker, topic = job.worker("one"), f"{job.app}-in"
    job.publish(*make_records(200))
    run(job, worker)
    job.recreate(topic)
    job.publish(*make_records(20, start=200))
    refused(worker, "the topic was truncated, or deleted and recreated")
    beginning = [TopicPartition(topic, number, 0) for number in range(PARTITIONS)]
    offsets = ConsumerGroupTopicPartitions(job.app, beginning)
    job.wait_until_empty()
    job.admin.alter_consumer_group_offsets([offsets])[job.app].result()
    refused(worker, "--accept-offsets")
    job.wait_until_empty()
    run(job, worker, "--accept-offsets")
    job.check()


def test_a_changelog_that_was_copied(job: Job) -> None:
    """A changelog with another id is refused, however long it is. Once an operator accepts it, the state is restored from it."""
    worker = job.worker("one")
    job.publish(*make_records(200))
    run(job, worker)
    records = job.read(job.changelog)
    job.recreate_changelog()
    producer = Producer({"bootstrap.servers": job.bootstrap})
    for record in [*records, *records]:  # longer than the position on disk
        producer.produce(
            job.changelog, record.value(), record.key(), partition=record.partition(), headers=record.headers() or []
        )
    assert producer.flush(PATIENCE_S) == 0
    job.publish(*make_records(200, start=200))
    refused(worker, "belongs to another changelog")
    run(job, worker, "--accept-changelog")
    assert job.output() == job.expected_output()
    assert worker.contents() == job.expected_state()


def test_a_hanging_transaction(job: Job) -> None:
    """A restore that cannot read behind an open transaction refuses, with the remedy. Afterwards the state is whole."""
    worker = job.worker("one")
    job.publish(*make_records(200))
    worker.start(*STATIC)
    job.await_output()
    foreign = Producer({"bootstrap.servers": job.bootstrap, "transactional.id": f"{job.app}-foreign"})
    foreign.init_transactions(PATIENCE_S)
    foreign.begin_transaction()
    foreign.produce(job.changelog, b"1", b"foreign", partition=0)
    assert foreign.flush(PATIENCE_S) == 0
    job.publish(*make_records(200, start=200))
    job.await_output_only()
    assert worker.stop() == 0
    shutil.rmtree(worker.disk)
    refused(worker, f"a transaction hangs on the changelog {job.changelog}[0]", *STATIC)
    assert "kafka-transactions.sh" in worker.log()
    foreign.abort_transaction(PATIENCE_S)
    job.publish(*make_records(200, start=400))
    run(job, worker)
    job.check()
    assert worker.contents() == job.expected_state()


def test_added_partitions(job: Job) -> None:
    """A worker does not start once its input has more partitions than its changelog: nobody would read them."""
    worker = job.worker("one")
    job.admin.create_partitions([NewPartitions(f"{job.app}-in", 2 * PARTITIONS)])[f"{job.app}-in"].result()
    refused(worker, f"topic {job.app}-in has {2 * PARTITIONS} partitions and must have {PARTITIONS}")


def test_an_expired_transactional_id(tmp_path: Path) -> None:
    """A worker that is idle for longer than its transactional ids live continues without a restart."""
    expiring = {
        "transactional.id.expiration.ms": "3000",
        "transaction.remove.expired.transaction.cleanup.interval.ms": "500",
    }
    with EmbeddedKafka(settings=expiring) as kafka:
        job = Job(kafka.bootstrap, "idle", tmp_path)
        worker = job.worker("one")
        job.publish(*make_records(200))
        worker.start()
        try:
            job.await_output()
            time.sleep(6)  # nothing shows when the broker deletes an id
            job.publish(*make_records(200, start=200))
            wait_until(lambda: len(job.read(f"{job.app}-out")) == len(job.input), "the output is complete")
            assert worker.stop() == 0
        finally:
            worker.kill()
        job.check()
        assert worker.contents() == job.expected_state()
