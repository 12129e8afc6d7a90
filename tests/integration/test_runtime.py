"""The runtime with a real broker: workers are killed, paused, added and stopped, and their counts equal a recomputation."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupState, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.runtime.app import EXIT_FATAL
from streams.runtime.failpoints import VARIABLE
from streams.runtime.kafka.retry import is_transient
from streams.runtime.kafka.topic_admin import ensure_topics
from streams.runtime.state.restore import restore
from streams.runtime.state.store import Memory, PartitionStore
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.wire.topics import changelog_spec
from tests.harness.kafka_proxy import Api, KafkaProxy
from tests.harness.stack import PATIENCE_S, PRODUCER, wait_until
from tests.integration.counter import (
    EXTRA_TABLE,
    FORGET,
    HEARTBEAT,
    HOLD,
    HOLDING,
    PARTITIONS,
    STOPPING,
    TABLE,
    TAKING_OVER,
    step,
)

#: Seconds that a supervisor gives a process to stop.
STOP_PATIENCE_S = 15.0
#: Seconds that a worker may take to report that it cannot start.
REFUSAL_PATIENCE_S = 180.0
#: With a static group id a restarted worker rejoins its group at once, also after a crash.
STATIC = ("--instance", "one")
KEYS = [b"customer-%d" % n for n in range(40)]


class Worker:
    """A counter as a child process, with its own disk."""

    def __init__(self, bootstrap: str, app: str, disk: Path) -> None:
        self.disk = disk
        self.log_file = disk.with_suffix(".log")
        self.bootstrap = bootstrap
        self._command = [sys.executable, "-m", "tests.integration.counter", bootstrap, app, str(disk)]
        self._child: subprocess.Popen[bytes] | None = None
        self._options: tuple[str, ...] = ()

    def start(self, *options: str, **env: str) -> None:
        """Start the process; its output is appended to its log."""
        self._options = options
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                [*self._command, *options],
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **env},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    @property
    def has_ended(self) -> bool:
        """Whether the process was started and has ended, other than by `kill`."""
        return self._child is not None and self._child.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        assert self._child is not None
        self._child.send_signal(number)

    def await_exit(self, patience_s: float = 180.0) -> int:
        """Wait until the process ends, and return its exit code. Fail the test if it hangs."""
        assert self._child is not None
        try:
            code = self._child.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._child.send_signal(signal.SIGABRT)  # writes the stacks of all threads to its log
            self._child.wait()
            pytest.fail(f"still running after {patience_s:.0f} s: {self.log()[-3000:]}")
        self._child = None
        return code

    def supervise(self) -> None:
        """Restart the process if it has asked for it, as a supervisor does. Fail the test if it has ended with an error."""
        code = None if self._child is None else self._child.poll()
        if code == EXIT_FATAL:
            self.start(*self._options)
        elif code is not None:
            pytest.fail(f"{self.disk.name} ended with {code}: {self.log()[-3000:]}")

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.signal(signal.SIGTERM)
        return self.await_exit(STOP_PATIENCE_S)

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def log(self) -> str:
        """Return the output of all runs of the process."""
        return self.log_file.read_text(errors="replace")

    def stores(self) -> list[Path]:
        """Return the directories of its stores, without damaged copies."""
        return [path for path in self.disk.rglob(f"{TABLE}/*") if path.name.isdecimal()]

    def contents(self) -> dict[bytes, bytes]:
        """Return the entries on its disk. The process must have ended."""
        entries: dict[bytes, bytes] = {}
        for path in self.stores():
            store = PartitionStore(path, Memory(16))
            entries.update(store.items())
            store.close()
        return entries


class Job:
    """One counter job: its topics, its workers, its input, and the output and state that the input must give."""

    def __init__(self, bootstrap: str, app: str, folder: Path) -> None:
        self.app = app
        self.folder = folder
        self.changelog = f"{app}-{TABLE}-changelog"
        self.bootstrap = bootstrap
        self._producer = Producer({"bootstrap.servers": bootstrap, **PRODUCER})
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.workers: list[Worker] = []
        self._tail: Consumer | None = None
        self._last_workers: dict[int, bytes] = {}
        self.input: list[tuple[bytes, bytes]] = []
        self.create(f"{app}-in", f"{app}-out")
        self.create(self.changelog, **{"cleanup.policy": "compact"})

    def worker(self, name: str, bootstrap: str = "") -> Worker:
        """Return a new worker of this job, not yet started; it connects to the broker, or to a proxy in front of it."""
        self.workers.append(Worker(bootstrap or self.bootstrap, self.app, self.folder / name))
        return self.workers[-1]

    def create(self, *names: str, **config: str) -> None:
        """Create topics, and wait until the broker lists them."""
        futures = self.admin.create_topics([NewTopic(name, PARTITIONS, 1, config=config) for name in names])
        for future in futures.values():
            future.result()
        wait_until(lambda: set(names) <= self.admin.list_topics(timeout=10).topics.keys(), "the topics exist")

    def recreate(self, name: str, **config: str) -> None:
        """Replace a topic with an empty one."""
        self.admin.delete_topics([name])[name].result()
        wait_until(lambda: name not in self.admin.list_topics(timeout=10).topics, f"{name} is deleted")
        self.create(name, **config)

    def recreate_changelog(self) -> None:
        """Replace the changelog with an empty one."""
        self.recreate(self.changelog, **{"cleanup.policy": "compact"})

    def publish(self, *records: tuple[bytes, bytes]) -> None:
        """Publish records to the input topic, and wait until the broker has them."""
        for key, value in records:
            self._producer.produce(f"{self.app}-in", value, key)
            self._producer.poll(0)
        assert self._producer.flush(PATIENCE_S) == 0
        self.input += records

    def read(self, name: str, isolation: str = "read_committed") -> list[Any]:
        """Return all records of a topic."""
        consumer = self._consumer(name, isolation)
        messages, unread = [], set(range(PARTITIONS))
        while unread:
            for message in consumer.consume(10_000, 0.05):
                if message.error() is None:
                    messages.append(message)
                else:
                    unread.discard(end_of(message))
        consumer.close()
        return messages

    def _consumer(self, name: str, isolation: str = "read_committed") -> Consumer:
        """Return a consumer of all records of a topic that reports the end of each partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "test-runtime",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
                "isolation.level": isolation,
            }
        )
        consumer.assign([TopicPartition(name, number, 0) for number in range(PARTITIONS)])
        return consumer

    def owned(self, topic: str = "") -> list[int]:
        """Return the number of partitions of a topic (the input) that each member has, in ascending order; empty during a rebalance."""
        try:
            group = self.admin.describe_consumer_groups([self.app])[self.app].result()
        except KafkaException as error:
            if not is_transient(error.args[0]):  # a new broker has no coordinator yet
                raise
            return []
        if group.state is not ConsumerGroupState.STABLE:
            return []
        return sorted(
            sum(tp.topic == (topic or f"{self.app}-in") for tp in member.assignment.topic_partitions)
            for member in group.members
        )

    def output(self) -> dict[bytes, list[bytes]]:
        """Return the committed output: the counts of each key in order."""
        counts = defaultdict(list)
        for record in self.read(f"{self.app}-out"):
            counts[record.key()].append(record.value())
        return dict(counts)

    def last_workers(self) -> dict[int, bytes]:
        """Return the worker that wrote the newest output of each partition, as far as it has been read.

        Each call reads on where the last one ended: under load a busy machine would read ever more from the start each time.
        """
        if self._tail is None:
            self._tail = self._consumer(f"{self.app}-out")
        for message in self._tail.consume(10_000, 0.5):
            if message.error() is None:
                self._last_workers[message.partition()] = dict(message.headers())["by"]
            else:
                end_of(message)
        return dict(self._last_workers)

    def changelog_state(self) -> dict[bytes, bytes]:
        """Return the committed state of the changelog."""
        last = {record.key(): record.value() for record in self.read(self.changelog)}
        return {key: value for key, value in last.items() if value is not None}

    def expected_output(self) -> dict[bytes, list[bytes]]:
        """Return the output that the input must give."""
        counts: dict[bytes, int] = defaultdict(int)
        output = defaultdict(list)
        for key, value in self.input:
            counts[key] = step(counts[key], value)
            output[key].append(b"%d" % counts[key])
        return dict(output)

    def expected_state(self) -> dict[bytes, bytes]:
        """Return the state that the input must give."""
        return {key: counts[-1] for key, counts in self.expected_output().items() if counts[-1] != b"0"}

    def wait_until(self, condition: Callable[[], bool], description: str) -> None:
        """Wait until `condition` is true. Restart workers that ask for it, and fail at once when one has ended with an error."""

        def is_met() -> bool:
            for worker in self.workers:
                worker.supervise()
            return condition()

        wait_until(is_met, description)

    def wait_until_empty(self) -> None:
        """Wait until the group has no member: the broker changes the offsets of no other."""
        wait_until(
            lambda: (
                self.admin.describe_consumer_groups([self.app])[self.app].result().state is ConsumerGroupState.EMPTY
            ),
            "the group is empty",
        )

    def await_output_only(self) -> None:
        """Wait until the output of the whole input is committed."""
        self.wait_until(
            lambda: len(self.read(f"{self.app}-out")) >= len(self.input), f"{len(self.input)} records have an output"
        )

    def await_output(self) -> None:
        """Wait until the output of the whole input is committed, then check it."""
        self.await_output_only()
        self.check()

    def check(self) -> None:
        """Check that output and changelog equal the recomputation from the input."""
        assert self.output() == self.expected_output()
        assert self.changelog_state() == self.expected_state()

    @contextmanager
    def load(self) -> Iterator[None]:
        """Publish about 2,000 records per second in a thread while the block runs."""
        is_done = threading.Event()

        def run() -> None:
            while not is_done.wait(0.05):  # without this pause a test would publish millions of records
                self.publish(*make_records(100, start=len(self.input)))

        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(run)
            try:
                yield
            finally:
                is_done.set()
                load.result()  # raises the error that has ended the load


def end_of(message: Any) -> int:
    """Return the number of the partition whose end the message reports.

    Raises:
        KafkaException: it reports an error.
    """
    if message.error().code() != KafkaError._PARTITION_EOF:
        raise KafkaException(message.error())
    return int(message.partition())


def make_records(count: int, start: int = 0) -> list[tuple[bytes, bytes]]:
    """Return records of all keys in turn; every 17th deletes the count of its key."""
    return [(KEYS[n % len(KEYS)], FORGET if n % 17 == 16 else b"x") for n in range(start, start + count)]


@pytest.fixture
def job(kafka: EmbeddedKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Job]:
    """A job with its own topics; its workers end with the test."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    job = Job(kafka.bootstrap, name, tmp_path)
    try:
        yield job
    finally:
        for worker in job.workers:
            worker.kill()


def keep(disk: Path) -> None:
    """Leave the disk as it is."""


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
    job.publish(*make_records(200, start=200))
    job.await_output()
    job.wait_until(
        lambda: set(job.last_workers().values()) == {b"first", b"second"}, "both workers have written output"
    )
    assert (first.stop(), second.stop()) == (0, 0)


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
        job.wait_until(lambda: set(job.last_workers().values()) == {b"first", b"second"}, "both workers write output")
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
