"""The runtime on a real broker: processes that die, stand still, share and stop; what they counted is compared with a recomputation."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.runtime.app import EXIT_FATAL
from streams.runtime.failpoints import VARIABLE
from streams.runtime.kafka.topic_admin import ensure_topics
from streams.runtime.state.restore import restore
from streams.runtime.state.store import Memory, PartitionStore
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.wire.topics import changelog_spec
from tests.harness.stack import wait_until
from tests.integration.counter import FORGET, HOLD, HOLDING, PARTITIONS, TABLE, step

#: What a supervisor gives a process that it asked to stop.
STOP_PATIENCE_S = 15.0
#: How long a worker may take to say that it cannot start.
REFUSAL_PATIENCE_S = 180.0
#: A worker with this name is back in its group at once, however its last life ended.
STATIC = ("--instance", "one")
KEYS = [b"customer-%d" % n for n in range(40)]


class Worker:
    """A counter as a child process, with a disk of its own."""

    def __init__(self, bootstrap: str, app: str, disk: Path) -> None:
        self.disk = disk
        self.log_file = disk.with_suffix(".log")
        self._command = [sys.executable, "-m", "tests.integration.counter", bootstrap, app, str(disk)]
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, **env: str) -> None:
        """Start it; what it prints is appended to its log."""
        with self.log_file.open("ab") as log:
            self._child = subprocess.Popen(
                [*self._command, *options],
                env={**os.environ, "PYTHONFAULTHANDLER": "1", **env},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._child is not None
        self._child.send_signal(number)

    def ended(self, patience_s: float = 180.0) -> int:
        """Wait until it ends by itself, and how it did; one that hangs fails the test."""
        assert self._child is not None
        try:
            return self._child.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._child.send_signal(signal.SIGABRT)  # the stacks of all its threads come into its log
            self._child.wait()
            pytest.fail(f"still running after {patience_s:.0f} s: {self.log()[-3000:]}")

    def stop(self) -> int:
        """SIGTERM, and how it ended."""
        self.signal(signal.SIGTERM)
        return self.ended(STOP_PATIENCE_S)

    def kill(self) -> None:
        """kill -9."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def log(self) -> str:
        """All it has printed in all its lives."""
        return self.log_file.read_text(errors="replace")

    def contents(self) -> dict[bytes, bytes]:
        """What lies on its disk; it must have ended."""
        found: dict[bytes, bytes] = {}
        for path in self.disk.rglob(f"{TABLE}/*"):
            store = PartitionStore(path, Memory(16))
            found.update(store.items())
            store.close()
        return found


class Job:
    """One counter job: its topics, its workers, what was put in, and what must come of it."""

    def __init__(self, bootstrap: str, app: str, folder: Path) -> None:
        self.app = app
        self.folder = folder
        self.changelog = f"{app}-{TABLE}-changelog"
        self._bootstrap = bootstrap
        self._producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5})
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self.workers: list[Worker] = []
        self.given: list[tuple[bytes, bytes]] = []
        self.create(f"{app}-in", f"{app}-out")
        self.create(self.changelog, **{"cleanup.policy": "compact"})

    def worker(self, name: str) -> Worker:
        """A worker of this job, not yet started."""
        self.workers.append(Worker(self._bootstrap, self.app, self.folder / name))
        return self.workers[-1]

    def create(self, *names: str, **config: str) -> None:
        """Make topics."""
        made = self._admin.create_topics([NewTopic(name, PARTITIONS, 1, config=config) for name in names])
        for future in made.values():
            future.result()
        wait_until(lambda: set(names) <= self._admin.list_topics(timeout=10).topics.keys(), "the topics are there")

    def make_changelog_anew(self) -> None:
        """Delete the changelog and make it again, empty."""
        self._admin.delete_topics([self.changelog])[self.changelog].result()
        wait_until(lambda: self.changelog not in self._admin.list_topics(timeout=10).topics, "the changelog is gone")
        self.create(self.changelog, **{"cleanup.policy": "compact"})

    def give(self, *records: tuple[bytes, bytes]) -> None:
        """Put records in; they are on the broker when it returns."""
        for key, value in records:
            self._producer.produce(f"{self.app}-in", value, key)
            self._producer.poll(0)
        assert self._producer.flush(30) == 0
        self.given += records

    def read(self, name: str, isolation: str = "read_committed") -> list[Any]:
        """All records of a topic."""
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "test-runtime",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
                "isolation.level": isolation,
            }
        )
        found, left = [], set(range(PARTITIONS))
        consumer.assign([TopicPartition(name, number, 0) for number in left])
        while left:
            for message in consumer.consume(10_000, 0.05):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(message.partition())
                else:
                    raise KafkaException(error)
        consumer.close()
        return found

    def said(self) -> dict[bytes, list[bytes]]:
        """What was said of each key, in order, committed."""
        found = defaultdict(list)
        for record in self.read(f"{self.app}-out"):
            found[record.key()].append(record.value())
        return dict(found)

    def speakers(self) -> dict[int, bytes]:
        """Which worker spoke last on each partition."""
        return {record.partition(): dict(record.headers())["by"] for record in self.read(f"{self.app}-out")}

    def logged(self) -> dict[bytes, bytes]:
        """The state that the changelog tells, committed."""
        last = {record.key(): record.value() for record in self.read(self.changelog)}
        return {key: value for key, value in last.items() if value is not None}

    def must_say(self) -> dict[bytes, list[bytes]]:
        """What must be said of what was given."""
        counts: dict[bytes, int] = defaultdict(int)
        found = defaultdict(list)
        for key, value in self.given:
            counts[key] = step(counts[key], value)
            found[key].append(b"%d" % counts[key])
        return dict(found)

    def must_hold(self) -> dict[bytes, bytes]:
        """The state that must come of what was given."""
        return {key: said[-1] for key, said in self.must_say().items() if said[-1] != b"0"}

    def await_said(self) -> None:
        """Wait until all that was given is answered and committed, then hold it to the recomputation."""
        wait_until(
            lambda: len(self.read(f"{self.app}-out")) >= len(self.given), f"{len(self.given)} records are answered"
        )
        self.check()

    def check(self) -> None:
        """Nothing is lost, nothing doubled, and the changelog tells the state that came of it."""
        assert self.said() == self.must_say()
        assert self.logged() == self.must_hold()

    @contextmanager
    def load(self) -> Iterator[None]:
        """Some 2,000 records a second, put in by a thread while the block runs."""
        done = threading.Event()

        def run() -> None:
            while not done.wait(0.05):  # the pace: a whole test without one would be millions of records
                self.give(*some(100, start=len(self.given)))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def some(count: int, start: int = 0) -> list[tuple[bytes, bytes]]:
    """Records of all keys in turn; every 17th makes the job forget its key."""
    return [(KEYS[n % len(KEYS)], FORGET if n % 17 == 16 else b"x") for n in range(start, start + count)]


@pytest.fixture
def job(kafka: EmbeddedKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Job]:
    """A job with topics of its own; its workers end with the test."""
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
def test_a_restart_finds_the_same_state(job: Job, after: Callable[[Path], None]) -> None:
    """Killed before a commit, then between a commit and the disk, with the disk kept or wiped: the state is what the input makes."""
    worker = job.worker("one")
    with job.load():
        for place in ("counter.produced", "counter.committed"):
            worker.start(*STATIC, **{VARIABLE: f"{place}@{3 * PARTITIONS}"})
            assert worker.ended() == -signal.SIGKILL
            after(worker.disk)
    worker.start(*STATIC)
    job.await_said()
    assert worker.stop() == 0
    job.check()
    assert worker.contents() == job.must_hold()
    assert len(job.must_hold()) > 10


def test_an_open_transaction_of_the_dead_is_invisible(job: Job) -> None:
    """What a killed worker had on the broker without a commit is seen by nobody, and is done again, once, by the next."""
    worker = job.worker("one")
    job.give(*some(200))
    worker.start(*STATIC, "--hold", str(job.folder / "never"))
    job.await_said()
    before = len(job.given)
    job.give((KEYS[0], HOLD))
    wait_until(lambda: HOLDING in worker.log(), "the worker stands still in its transaction")
    worker.kill()
    out, changelog = f"{job.app}-out", job.changelog
    assert len(job.read(out, "read_uncommitted")) == before + 1
    assert len(job.read(out)) == before
    assert len(job.read(changelog, "read_uncommitted")) == len(job.read(changelog)) + 1
    worker.start(*STATIC)
    job.await_said()
    assert worker.stop() == 0
    job.check()
    assert len(job.read(out, "read_uncommitted")) == before + 2
    assert worker.contents() == job.must_hold()


def test_a_zombie_is_fenced(job: Job) -> None:
    """A worker that was taken for dead wakes up in its transaction: it commits nothing and ends with the code for "try again"."""
    first, second = job.worker("first"), job.worker("second")
    gate = job.folder / "gate"
    job.give(*some(200))
    first.start("--hold", str(gate))
    job.await_said()
    job.give((KEYS[0], HOLD))
    wait_until(lambda: HOLDING in first.log(), "the first worker stands still in its transaction")
    first.signal(signal.SIGSTOP)
    second.start()
    job.give(*some(200, start=200))
    job.await_said()
    gate.touch()
    first.signal(signal.SIGCONT)
    assert first.ended() == EXIT_FATAL
    assert "commit failed, exiting" in first.log()
    job.give(*some(200, start=400))
    job.await_said()
    assert second.stop() == 0
    job.check()
    assert second.contents() == job.must_hold()


@pytest.mark.parametrize(
    ("after", "complaint"),
    [(keep, "is ahead of its changelog"), (shutil.rmtree, "the changelog was deleted")],
    ids=["kept", "wiped"],
)
def test_a_lost_changelog_is_refused(job: Job, after: Callable[[Path], None], complaint: str) -> None:
    """With its changelog made anew a worker ends, says why and what to do, and neither works on from nothing nor touches what is left."""
    worker = job.worker("one")
    job.give(*some(200))
    worker.start()
    job.await_said()
    assert worker.stop() == 0
    said = job.said()
    job.make_changelog_anew()
    after(worker.disk)
    left = worker.contents()
    job.give(*some(200, start=200))
    for _ in range(2):  # a supervisor tries again: what the first try left must not let the second in
        worker.log_file.unlink()
        worker.start()
        assert worker.ended(REFUSAL_PATIENCE_S) not in (0, EXIT_FATAL)
        assert complaint in worker.log()
        assert job.changelog in worker.log()
        assert "use another TAKK_APP_ID" in worker.log()  # with an empty changelog nothing less helps
    assert job.said() == said
    assert job.read(job.changelog) == []
    assert worker.contents() == left


def test_partitions_are_shared_and_taken_over(job: Job) -> None:
    """Two workers share the partitions under load; one stops, the other takes over all of them, and the total is exact."""
    first, second = job.worker("first"), job.worker("second")
    with job.load():
        first.start()
        second.start()
        wait_until(lambda: set(job.speakers().values()) == {b"first", b"second"}, "both work")
        assert first.stop() == 0
        wait_until(lambda: list(job.speakers().values()) == [b"second"] * PARTITIONS, "the second has all partitions")
    job.await_said()
    assert second.stop() == 0
    job.check()
    assert second.contents() == job.must_hold()


def test_stopped_under_load(job: Job) -> None:
    """SIGTERM while records pour in: the worker ends with code 0, and the next life finds nothing lost and nothing doubled."""
    worker = job.worker("one")
    with job.load():
        for _ in range(2):
            before = len(job.read(f"{job.app}-out"))
            worker.start(*STATIC)
            wait_until(lambda before=before: len(job.read(f"{job.app}-out")) > before, "it works")
            assert worker.stop() == 0
    worker.start(*STATIC)
    job.await_said()
    assert worker.stop() == 0
    job.check()
    assert worker.contents() == job.must_hold()


class Noted(PartitionStore):
    """A store that notes each of its writes in a list shared by all."""

    def __init__(self, path: Path, memory: Memory, notes: list[str]) -> None:
        super().__init__(path, memory)
        self.notes = notes

    def write(
        self, changes: Mapping[bytes, bytes | None], position: int | None, meta: Mapping[bytes, bytes] | None = None
    ) -> None:
        super().write(changes, position, meta)
        if changes:
            self.notes.append(self.path.name)


def test_partitions_are_restored_side_by_side(
    kafka: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every partition has received something before any has received all; what comes out is the changelog, and the steps say how far it is."""
    each, whole = 2000, 2000 * PARTITIONS  # of 10 kB: more than one answer of the broker brings of a partition
    monkeypatch.setattr(
        "streams.runtime.state.restore.BATCH", 200
    )  # so that the order of the writes is the order of arrival
    settings = {"bootstrap.servers": kafka.bootstrap}
    ensure_topics(settings, [changelog_spec("wide")], PARTITIONS, 1)
    producer = Producer({**settings, "linger.ms": 20})
    for number in range(whole):
        producer.produce("wide", bytes(10_000), b"%d" % number, partition=number % PARTITIONS)
    assert producer.flush(60) == 0
    notes: list[str] = []
    memory = Memory(64)
    stores: dict[int, PartitionStore] = {n: Noted(tmp_path / str(n), memory, notes) for n in range(PARTITIONS)}
    steps: list[tuple[int, int]] = []
    assert restore(settings, "wide", stores, lambda *step: steps.append(step)) == whole
    for number, store in stores.items():
        assert {int(key) for key, _ in store.items()} == set(range(number, whole, PARTITIONS))
        assert store.position == each
    last = {name: at for at, name in enumerate(notes)}
    assert max(notes.index(name) for name in last) < min(last.values())
    assert steps == sorted(steps)
    assert {total for _, total in steps} == {whole}
    assert steps[-1][0] == whole
    assert len(steps) > 2
