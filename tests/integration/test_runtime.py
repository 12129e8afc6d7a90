"""The runtime with a real broker: workers are killed, paused, added and stopped, and their counts equal a recomputation."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer

from streams.runtime.app import EXIT_FATAL
from streams.runtime.failpoints import VARIABLE
from streams.runtime.kafka.topic_admin import ensure_topics
from streams.runtime.state.restore import restore
from streams.runtime.state.store import Memory, PartitionStore
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.wire.topics import changelog_spec
from tests.harness.kafka_proxy import Api, KafkaProxy
from tests.harness.stack import PATIENCE_S
from tests.integration.counter import EXTRA_TABLE, HEARTBEAT, HOLD, HOLDING, PARTITIONS, STOPPING, TAKING_OVER
from tests.integration.jobs import KEYS, REFUSAL_PATIENCE_S, STATIC, Job, keep, make_records


@pytest.mark.parametrize("after", [keep, shutil.rmtree], ids=["kept", "wiped"])
def test_state_survives_a_crash(job: Job, after: Callable[[Path], None]) -> None:
    """After a kill before the commit and one before the disk write, with the disk kept or wiped, the state follows from the input."""
    worker = job.worker("one")
    with job.load():
        for place in ("counter.produced", "counter.committed"):
            worker.start(*STATIC, **{VARIABLE: f"{place}@{3 * PARTITIONS}"})
            assert worker.await_exit() == -signal.SIGKILL
            after(worker.disk)
    worker.start(*STATIC)
    job.await_output()
    assert worker.stop() == 0
    job.check()
    assert worker.contents() == job.expected_state()
    assert len(job.expected_state()) > 10


def test_an_open_transaction_of_a_killed_worker_is_invisible(job: Job) -> None:
    """Consumers do not see uncommitted output of a killed worker; the next worker writes it again, once."""
    worker = job.worker("one")
    job.publish(*make_records(200))
    worker.start(*STATIC, "--hold", str(job.folder / "never"))
    job.await_output()
    before = len(job.input)
    job.publish((KEYS[0], HOLD))
    job.wait_until(lambda: HOLDING in worker.log(), "the worker waits in its transaction")
    worker.kill()
    out, changelog = f"{job.app}-out", job.changelog
    assert len(job.read(out, "read_uncommitted")) == before + 1
    assert len(job.read(out)) == before
    assert len(job.read(changelog, "read_uncommitted")) == len(job.read(changelog)) + 1
    worker.start(*STATIC)
    job.await_output()
    assert worker.stop() == 0
    job.check()
    assert len(job.read(out, "read_uncommitted")) == before + 2
    assert worker.contents() == job.expected_state()


def test_a_zombie_is_fenced(job: Job) -> None:
    """A worker that resumes in its transaction after losing its partitions commits nothing and ends with the exit code for a restart."""
    first, second = job.worker("first"), job.worker("second")
    release = job.folder / "release"
    job.publish(*make_records(200))
    first.start("--hold", str(release))
    job.await_output()
    job.publish((KEYS[0], HOLD))
    job.wait_until(lambda: HOLDING in first.log(), "the first worker waits in its transaction")
    first.signal(signal.SIGSTOP)
    second.start()
    job.publish(*make_records(200, start=200))
    job.await_output()
    release.touch()
    first.signal(signal.SIGCONT)
    assert first.await_exit() == EXIT_FATAL
    assert "commit failed, exiting" in first.log()
    job.publish(*make_records(200, start=400))
    job.await_output()
    assert second.stop() == 0
    job.check()
    assert second.contents() == job.expected_state()


def test_a_takeover_may_outlast_the_session(job: Job) -> None:
    """A worker sends heartbeats while it restores, so that a restore longer than the session does not lose the partitions again."""
    worker = job.worker("one")
    release = job.folder / "release"
    job.publish(*make_records(200))
    worker.start("--hold-takeover", str(release))
    job.wait_until(lambda: TAKING_OVER in worker.log(), "the worker takes over its partitions")
    job.wait_until(lambda: worker.log().count(HEARTBEAT) >= 2, "two heartbeats during the takeover")
    assert job.owned() == [PARTITIONS]
    release.touch()
    job.await_output()
    assert worker.stop() == 0
    assert worker.log().count(TAKING_OVER) == 1


@pytest.mark.campaign
def test_a_worker_returns_with_fewer_topics(job: Job) -> None:
    """A worker that returns within its session and reads fewer topics than before works on; the other worker reads the topic that it left.

    When it reads the topic again, it gets its share of it.
    """
    session = ("--session", "60")
    more = f"{job.app}-more"
    job.create(more)
    job.create(f"{job.app}-{EXTRA_TABLE}-changelog", **{"cleanup.policy": "compact"})
    first, second = job.worker("first"), job.worker("second")
    first.start("--instance", "first", "--extra", *session)
    second.start("--instance", "second", "--extra", *session)
    shared, left = [PARTITIONS // 2, PARTITIONS // 2], [0, PARTITIONS]
    job.wait_until(lambda: job.owned(more) == job.owned() == shared, "the workers share both topics")
    assert first.stop() == 0
    first.start("--instance", "first", *session)
    job.wait_until(lambda: job.owned(more) == left and job.owned() == shared, "the second worker reads the topic alone")
    job.publish(*make_records(200))
    job.await_output()
    assert first.stop() == 0
    first.start("--instance", "first", "--extra", *session)
    job.wait_until(lambda: job.owned(more) == job.owned() == shared, "the workers share both topics again")
    job.publish(*make_records(200, start=200))
    job.await_output()
    assert (first.stop(), second.stop()) == (0, 0)
    assert "left the consumer group" not in first.log() + second.log()


@pytest.fixture
def proxy(kafka: EmbeddedKafka) -> Iterator[KafkaProxy]:
    """A proxy in front of the broker."""
    with KafkaProxy(kafka.port) as proxy:
        yield proxy


@pytest.mark.campaign
@pytest.mark.parametrize(
    "code",
    [KafkaError.UNKNOWN, KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.FENCED_INSTANCE_ID],
    ids=["unknown", "authorization", "fenced"],
)
def test_one_odd_heartbeat_answer_ends_the_worker(job: Job, proxy: KafkaProxy, code: int) -> None:
    """After an answer that aiokafka does not expect, it sends no more heartbeats. The worker ends, is restarted, and works on."""
    worker = job.worker("one", proxy.bootstrap)
    job.publish(*make_records(200))
    worker.start(*STATIC)
    job.await_output()
    assert proxy.fail_next(Api.HEARTBEAT, code).wait(PATIENCE_S)
    assert worker.await_exit() == EXIT_FATAL
    assert "left the consumer group" in worker.log()
    worker.start(*STATIC)
    job.publish(*make_records(200, start=200))
    job.await_output()
    assert worker.stop() == 0


@pytest.mark.campaign
def test_a_worker_that_a_full_group_refuses_asks_again(job: Job, proxy: KafkaProxy) -> None:
    """A worker that the group refuses once ends and is restarted until the group has room."""
    worker = job.worker("one", proxy.bootstrap)
    refused = proxy.fail_next(Api.JOIN_GROUP, KafkaError.GROUP_MAX_SIZE_REACHED)
    worker.start()
    job.publish(*make_records(200))
    assert refused.wait(PATIENCE_S)
    assert worker.await_exit() == EXIT_FATAL
    worker.start()
    job.await_output()
    assert worker.stop() == 0


@pytest.mark.campaign
def test_stopped_during_a_rebalance(job: Job) -> None:
    """A worker that gets SIGTERM while another one joins its group exits with 0."""
    first, second = job.worker("first"), job.worker("second")
    release = job.folder / "release"
    release.touch()
    job.publish(*make_records(200))
    first.start("--hold-takeover", str(release))
    job.await_output()
    release.unlink()
    before = first.log().count(TAKING_OVER)
    second.start()
    job.wait_until(lambda: first.log().count(TAKING_OVER) > before, "the first worker takes over its share")
    first.signal(signal.SIGTERM)
    job.wait_until(lambda: STOPPING in first.log(), "the first worker stops")
    release.touch()
    assert first.await_exit() == 0, first.log()[-5000:]


@pytest.mark.campaign
def test_a_worker_returns_after_its_session_is_lost(job: Job) -> None:
    """A paused worker whose partitions were taken over rejoins, fences its share of the partitions, and commits without a restart."""
    first, second = job.worker("first"), job.worker("second")
    release = job.folder / "release"
    job.publish(*make_records(200))
    first.start()
    job.await_output()
    first.signal(signal.SIGSTOP)
    second.start("--hold-takeover", str(release))
    job.wait_until(lambda: TAKING_OVER in second.log(), "the second worker has fenced the first one")
    release.touch()
    job.wait_until(lambda: job.owned() == [PARTITIONS], "the second worker has all partitions")
    first.signal(signal.SIGCONT)
    job.wait_until(lambda: job.owned() == [PARTITIONS // 2, PARTITIONS // 2], "the workers share the partitions")
    # The second worker may process more records of all partitions before it learns of the new assignment.
    with job.load():
        job.await_writers({b"first", b"second"})
    job.await_output()
    assert (first.stop(), second.stop()) == (0, 0)


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("after", "error"),
    [(keep, "belongs to another changelog"), (shutil.rmtree, "the changelog was deleted")],
    ids=["kept", "wiped"],
)
def test_a_recreated_changelog_is_refused(job: Job, after: Callable[[Path], None], error: str) -> None:
    """With a recreated changelog a worker ends with the reason and the fix; it writes no output and keeps its disk."""
    worker = job.worker("one")
    job.publish(*make_records(200))
    worker.start()
    job.await_output()
    assert worker.stop() == 0
    output = job.output()
    job.recreate_changelog()
    after(worker.disk)
    entries = worker.contents()
    job.publish(*make_records(200, start=200))
    for _ in range(2):  # a supervisor restarts it: files of the first start must not make the second one succeed
        worker.log_file.unlink()
        worker.start()
        assert worker.await_exit(REFUSAL_PATIENCE_S) not in (0, EXIT_FATAL)
        assert error in worker.log()
        assert job.changelog in worker.log()
        assert "use another TAKK_APP_ID" in worker.log()  # the only fix for an empty changelog
    assert job.output() == output
    assert job.read(job.changelog) == []
    assert worker.contents() == entries


def test_partitions_move_to_the_other_worker(job: Job) -> None:
    """Two workers share the partitions under load; when one stops, the other gets all partitions, and every count is exact."""
    first, second = job.worker("first"), job.worker("second")
    with job.load():
        first.start()
        second.start()
        job.await_writers({b"first", b"second"})
        assert first.stop() == 0
        job.wait_until(
            lambda: list(job.last_workers().values()) == [b"second"] * PARTITIONS,
            "the second worker has all partitions",
        )
    job.await_output()
    assert second.stop() == 0
    job.check()
    assert second.contents() == job.expected_state()


def test_stopped_under_load(job: Job) -> None:
    """After SIGTERM under load the worker exits with 0, and after the restart no record is lost or counted twice."""
    worker = job.worker("one")
    with job.load():
        for _ in range(2):
            before = len(job.read(f"{job.app}-out"))
            worker.start(*STATIC)
            job.wait_until(lambda before=before: len(job.read(f"{job.app}-out")) > before, "the worker writes output")
            assert worker.stop() == 0
    worker.start(*STATIC)
    job.await_output()
    assert worker.stop() == 0
    job.check()
    assert worker.contents() == job.expected_state()


class RecordingStore(PartitionStore):
    """A store that adds its name to a shared list with each write."""

    def __init__(self, path: Path, memory: Memory, writes: list[str]) -> None:
        super().__init__(path, memory)
        self.writes = writes

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int | None, meta: Mapping[bytes, bytes] | None = None
    ) -> None:
        super().write(changes, position, meta)
        if changes:
            self.writes.append(self.path.name)


def test_partitions_are_restored_in_parallel(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each store gets its first records before any store gets its last ones; all records are restored, and the progress is reported."""
    per_partition, total = 2000, 2000 * PARTITIONS  # 10 kB each: more than one fetch response contains per partition
    # Small batches, so that the order of the writes is the order of arrival.
    monkeypatch.setattr("streams.runtime.state.restore.BATCH", 200)
    settings = {"bootstrap.servers": kafka.bootstrap}
    ensure_topics(settings, [changelog_spec("wide")], PARTITIONS, 1)
    producer = Producer({**settings, "linger.ms": 20})
    for number in range(total):
        producer.produce("wide", bytes(10_000), b"%d" % number, partition=number % PARTITIONS)
    assert producer.flush(60) == 0
    writes: list[str] = []
    memory = Memory(64)
    stores: dict[int, PartitionStore] = {
        n: RecordingStore(tmp_path / str(n), memory, writes) for n in range(PARTITIONS)
    }
    steps: list[tuple[int, int]] = []
    assert restore(settings, "wide", stores, lambda *step: steps.append(step)) == total
    for number, store in stores.items():
        assert {int(key) for key, _ in store.items()} == set(range(number, total, PARTITIONS))
        assert store.position == per_partition
    last = {name: index for index, name in enumerate(writes)}
    assert max(writes.index(name) for name in last) < min(last.values())
    assert steps == sorted(steps)
    assert {reported for _, reported in steps} == {total}
    assert steps[-1][0] == total
    assert len(steps) > 2
