"""A counter job on a real broker, as child processes: its topics, its workers, and what its input must give."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupState, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.runtime.app import EXIT_FATAL
from streams.runtime.kafka.retry import is_transient
from streams.runtime.state.store import Memory, PartitionStore
from tests.harness.kafka_faults import delete_topic
from tests.harness.stack import PATIENCE_S, PRODUCER, wait_until
from tests.integration.counter import FORGET, PARTITIONS, TABLE, step

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
        delete_topic(self.admin, name)
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

    def await_writers(self, names: set[bytes]) -> None:
        """Wait until the newest outputs of the partitions are by these workers, and no others."""
        try:
            self.wait_until(lambda: set(self.last_workers().values()) == names, f"output by {sorted(names)}")
        except AssertionError as error:
            everything = [(record.partition(), dict(record.headers())["by"]) for record in self.read(f"{self.app}-out")]
            raise AssertionError(
                f"{error}; the newest: {self.last_workers()}; all: {Counter(everything)}; owned: {self.owned()}"
            ) from error

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


def keep(disk: Path) -> None:
    """Leave the disk as it is."""
