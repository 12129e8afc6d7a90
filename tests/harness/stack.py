"""The test stack: a broker, an inbox, workers and mailers as in production, a shop, and the comparison with the oracle."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.definitions.loader import load_ruleset
from streams.runtime.app import EXIT_FATAL
from streams.runtime.avro.codec import Codec
from streams.runtime.failpoints import VARIABLE
from streams.runtime.kafka.retry import is_transient
from streams.runtime.processing.walks import RESERVED
from streams.runtime.state.store import Memory, PartitionStore
from streams.settings import Settings, load_settings
from streams.tools.local.inbox.server import Inbox
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.tools.local.kafka.cluster import EmbeddedCluster
from streams.tools.local.kafka.committed import read_all
from streams.tools.local.oracle import Handler, Verdict, judge
from streams.tools.local.processes import Process
from streams.tools.local.shop.shop import Shop
from streams.wire import topics
from streams.wire.codec import open_codec
from tests.harness.patient_templates import patient_templates
from tests.harness.scripted_inbox import ScriptedInbox

#: Seconds that a test waits for anything. They are enough on a busy machine, and for a broker that does not answer for a minute.
PATIENCE_S = 180.0
#: Settings of the producers of tests. A record that is sent again after a time without answer appears once, in its place.
PRODUCER = {"partitioner": "murmur2_random", "linger.ms": 5, "enable.idempotence": True}


#: Given the topic of a record and the record, returns further records with their topics.
MoreRecords: TypeAlias = Callable[[str, dict[str, Any]], Iterable[tuple[str, dict[str, Any]]]]


def wait_until(condition: Callable[[], bool], description: str, timeout_s: float = PATIENCE_S) -> None:
    """Wait until `condition` is true.

    Raises:
        AssertionError: it is still false after `timeout_s` seconds; the message has the description.
    """
    asked = time.monotonic()
    deadline = asked + timeout_s
    while not condition():
        now = time.monotonic()
        assert now < deadline, f"timed out after {timeout_s:.0f} s: {description}"
        # A condition that reads metrics or a topic takes CPU from what it waits for, so it runs for a fifth of the time at most.
        time.sleep(min(max(0.02, 4 * (now - asked)), 0.5))
        asked = time.monotonic()


#: role -> the end of the name of its consumer group, and the topic whose records its stage of that name reads.
GROUPS = {"worker": "flows", "mailer": "mailer"}
INPUTS = {"worker": topics.ORDERS, "mailer": topics.COMMANDS}
#: Settings of a stack with heartbeats: one when a mailer takes over a partition, then so few that topics have time to be idle.
HEARTBEATS = {"TAKK_HEARTBEAT_S": "60"}


def await_heartbeats(stack: Stack) -> None:
    """Wait until a heartbeat has passed through every partition since its mailer took it over. Raise AssertionError after 3 minutes."""
    expected = {f'takk_heartbeat_timestamp_seconds{{partition="{n}"}}' for n in range(stack.settings.partitions)}

    def arrived() -> set[str]:
        return {name for mailer in stack.mailers for name, value in mailer.series().items() if value}

    wait_until(lambda: expected <= arrived(), "a heartbeat of each partition")


def _lag(metrics: dict[str, float]) -> float:
    """Return the number of records that a process has still to read; 1 if it did not answer."""
    # A process without partitions has no lag metric.
    return metrics.get("takk_lag_records", 0.0) if metrics else 1.0


class ShopClosed(Exception):
    """Raised in the shop's thread to stop it early."""


class Stack:
    """Workers, mailers, an inbox and a shop. A test can kill processes and compare the results with the oracle.

    Args:
        folder: for state and logs.
        bootstrap: addresses of the brokers.
        inbox: running.
        day_s: seconds that one day of waiting takes.
        env: additional settings of workers and mailers.
        workers, mailers, gateways: number of processes; each has its own disk and group instance id. Links lead to the first gateway.
        replication: of all topics.
        program: folder of the program that the processes run at first; None: this one.
    """

    def __init__(
        self,
        folder: Path,
        bootstrap: str,
        inbox: Inbox,
        day_s: float = 1.0,
        env: dict[str, str] | None = None,
        workers: int = 1,
        mailers: int = 1,
        gateways: int = 0,
        replication: int = 1,
        program: Path | None = None,
    ) -> None:
        self.program = program
        self.folder = folder
        self.inbox = inbox
        self.day_s = day_s
        if "TAKK_TEMPLATES_DIR" not in (env or {}):
            env = {"TAKK_TEMPLATES_DIR": str(patient_templates(folder / "patient-templates")), **(env or {})}
        self.settings: Settings = load_settings(
            kafka_bootstrap_servers=bootstrap,
            day_scale_seconds=day_s,
            state_dir=folder / "state",
            replication=replication,
            # The oracle uses the same flows as the processes.
            templates_dir=(env or {})["TAKK_TEMPLATES_DIR"],
            address_secret=(env or {}).get("TAKK_ADDRESS_SECRET"),
            test_recipients=(env or {}).get("TAKK_TEST_RECIPIENTS", ""),
        )
        self.env = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(inbox.smtp_port),
            "TAKK_STATE_DIR": str(folder / "state"),
            "TAKK_MAIL_SECRET": "5d6ad4a0c4b1f2e79a3c8d5e",
            "TAKK_REPLICATION": str(replication),
            "TAKK_GROUP_INSTANCE_ID": "stack",
            "DAY": f"{day_s}s",
            # Heartbeats would keep the topics growing. Tests that do not count timers turn them on.
            "TAKK_HEARTBEAT_S": "0",
            **(env or {}),
        }
        self.codec: Codec = open_codec()
        self.gateways = [self._process("gateway", number) for number in range(gateways)]
        if self.gateways:
            self.env["TAKK_MAIL_BASE_URL"] = self.gateways[0].public_url
        self.workers = [self._process("worker", number) for number in range(workers)]
        self.mailers = [self._process("mailer", number) for number in range(mailers)]
        self.worker, self.mailer = self.workers[0], self.mailers[0]
        topics.create_topics(self.settings)
        self.brokers: list[EmbeddedKafka] = []
        #: Folders of other templates that processes of this stack used for a while.
        self.other_templates: list[Path] = []
        #: Called with the records of all topics before they are judged: a test that deletes a topic's records adds those that were read.
        self.complete: Callable[[dict[str, list[Any]]], None] = lambda records: None
        self._producer = Producer({**self.settings.kafka(), **PRODUCER})
        self.admin = AdminClient(self.settings.kafka())

    def add_worker(self) -> Process:
        """Return one more worker, not yet started."""
        self.workers.append(self._process("worker", len(self.workers)))
        return self.workers[-1]

    def number_of(self, process: Process) -> int:
        """Return the number of a process among those of its role."""
        return (self.workers if process.role == "worker" else self.mailers).index(process)

    def group_of(self, role: str) -> str:
        """Return the consumer group of the processes of this role."""
        return f"{self.settings.app_id}-{GROUPS[role]}"

    def members(self, role: str) -> list[Any]:
        """Return the members of the group of this role, as the broker describes them.

        Raises:
            KafkaException: the broker does not answer.
        """
        (answer,) = self.admin.describe_consumer_groups([self.group_of(role)], request_timeout=5).values()
        return list(answer.result().members)

    def assignment(self, role: str) -> dict[int, frozenset[int]]:
        """Return the partitions of each process of this role, by its number, as the broker assigned them; empty during a rebalance.

        Raises:
            KafkaException: the broker does not answer.
        """
        topic, assigned = INPUTS[role], dict[int, frozenset[int]]()
        for member in self.members(role):
            name = (member.group_instance_id or "").removesuffix(f"-{GROUPS[role]}")
            partitions = frozenset(tp.partition for tp in member.assignment.topic_partitions if tp.topic == topic)
            if name.rpartition("-")[2].isdecimal() and partitions:
                assigned[int(name.rpartition("-")[2])] = partitions
        return assigned

    def _process(self, role: str, number: int) -> Process:
        own = {"TAKK_STATE_DIR": str(self.state_dir(number)), "TAKK_GROUP_INSTANCE_ID": f"stack-{number}"}
        name = f"{role}-{number}" if number else role
        env = {**self.env, **own}
        if self.program is not None:
            del env[
                "TAKK_TEMPLATES_DIR"
            ]  # an earlier program has its own templates, because it may not know every word of these
        return Process(role, env, self.folder / f"{name}.log", self.program)

    def update(self, process: Process) -> None:
        """Let a process of an earlier program, which has ended, run this one from its next start."""
        process.program = None
        process.settings["TAKK_TEMPLATES_DIR"] = self.env["TAKK_TEMPLATES_DIR"]

    def state_dir(self, number: int) -> Path:
        """Return the state directory of the worker and the mailer with this number."""
        return self.folder / (f"state-{number}" if number else "state")

    @property
    def processes(self) -> tuple[Process, ...]:
        """Workers, then mailers, then gateways."""
        return *self.workers, *self.mailers, *self.gateways

    def start(self) -> None:
        """Start all processes and wait until they are ready."""
        for process in self.processes:
            process.start()
        for process in self.processes:
            process.await_ready()

    def kill_worker_at(self, failpoints: Iterable[str]) -> None:
        """Start the worker once for each failpoint, which kills it there."""
        for failpoint in failpoints:
            self.worker.start(**{VARIABLE: failpoint})
            self.wait_until(lambda: not self.worker.is_alive, f"the worker reaches {failpoint}")
            assert self.worker.exit_code == -signal.SIGKILL

    def stop(self) -> None:
        """Kill all processes, and close the producer while the broker still runs."""
        for process in self.processes:
            process.kill()
        self._producer.flush(1)
        del self._producer

    def produce(self, topic: str, key: bytes | None, record: dict[str, Any] | bytes | None, at_ms: int = 0) -> None:
        """Produce one record and wait until the broker has it.

        Args:
            record: a dict is encoded with the schema of the topic.
            at_ms: timestamp of the record in ms since 1970 UTC; 0: now.
        """
        self.enqueue(topic, key, record, at_ms)
        assert self._producer.flush(PATIENCE_S) == 0

    def enqueue(self, topic: str, key: bytes | None, record: dict[str, Any] | bytes | None, at_ms: int = 0) -> None:
        """Produce one record like `produce`, without waiting; the next `produce` waits for it too."""
        value = self.codec.encode(topics.SCHEMA_OF[topic], record) if isinstance(record, dict) else record
        self._producer.produce(topic, value, key, timestamp=at_ms)
        # Delivered records leave the producer's queue only here. Otherwise it is full after 100,000 records.
        self._producer.poll(0)

    def records(self, topic: str) -> list[dict[str, Any]]:
        """Return the committed records of `topic`, decoded."""
        records = read_all(self.settings.kafka(), [topic])[topic]
        return [self.codec.decode(topics.SCHEMA_OF[topic], record.value()) for record in records]

    def run_takk(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the command `takk` on this cluster with additional settings, and return its result."""
        return subprocess.run(
            [sys.executable, "-m", "streams", *arguments],
            env={**os.environ, **self.env, "TAKK_WEB_PORT": "0", **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def takk(self, *arguments: str) -> str:
        """Run the command `takk` on this cluster, which must succeed, and return its output."""
        done = self.run_takk(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_shop(
        self,
        seconds: float,
        rate: float,
        poison: float = 0.0,
        seed: int = 3,
        until: threading.Event | None = None,
        codec: Codec | None = None,
        more: MoreRecords | None = None,
        has_receipts: bool = False,
    ) -> threading.Thread:
        """Produce the shop's events in real time on a thread, and return the thread.

        Args:
            seconds: after which the shop closes.
            rate: orders per second.
            poison: share of records that are followed by a record of random bytes.
            seed: of the shop and of the invalid records.
            until: closes the shop early.
            codec: encodes the records; None: that of the present schemas.
            more: returns the records that follow one of the shop; None: none.
            has_receipts: whether orders have all that a receipt shows.
        """
        encode = (codec or self.codec).encode
        producer = Producer({**self.settings.kafka(), **PRODUCER})
        rng = random.Random(seed)
        shop = Shop(seed, rate, self.day_s, has_receipts=has_receipts)

        def produce(topic: str, key: bytes, record: dict[str, Any], schema: str) -> None:
            producer.produce(topic, encode(schema, record), key)
            for name, other in more(topic, record) if more is not None else ():
                producer.produce(name, encode(topics.SCHEMA_OF[name], other), other["customer_id"].encode())
            if rng.random() < poison:
                producer.produce(topic, rng.randbytes(30), key)
            producer.poll(0)
            if until is not None and until.is_set():
                raise ShopClosed

        def run() -> None:
            for topic, key, record, schema in shop.catalogue(datetime.now(UTC)):
                producer.produce(topic, encode(schema, record), key)
            with suppress(ShopClosed):
                asyncio.run(shop.run(produce, seconds))
            assert producer.flush(PATIENCE_S) == 0

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def wait_until(self, condition: Callable[[], bool], description: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until `condition` is true. Restart processes that ask for it, and fail at once when one has ended with an error.

        Raises:
            AssertionError: a process has ended with an error, or the condition is still false after `timeout_s` seconds.
        """

        def is_met() -> bool:
            self.supervise()
            return condition()

        wait_until(is_met, description, timeout_s)

    def supervise(self) -> None:
        """Restart the processes that have asked for it, as a supervisor does: a worker without its session may not commit, and exits.

        Raises:
            AssertionError: a process has ended with an error.
        """
        for process in self.processes:
            if process.exit_code == EXIT_FATAL:
                process.start()
            # A process that the test has stopped or killed has 0 or a negative exit code.
            assert (process.exit_code or 0) <= 0, (
                f"the {process.role} ended with {process.exit_code}, see {process.log_file}"
            )

    def wait_until_idle(self, quiet_s: float = 3.0, timeout_s: float = PATIENCE_S) -> None:
        """Wait until for `quiet_s` seconds no topic has grown and all running processes have read everything.

        Raises:
            AssertionError: that has not happened within `timeout_s` seconds.
        """
        existing = self.admin.list_topics(timeout=PATIENCE_S).topics
        partitions = [TopicPartition(spec.name, n) for spec in topics.TOPICS for n in existing[spec.name].partitions]
        deadline, last, since = time.monotonic() + timeout_s, -1, time.monotonic()
        while time.monotonic() - since < quiet_s:
            self.supervise()
            assert time.monotonic() < deadline, f"the stack did not become idle: {self._lagging() or 'topics grow'}"
            try:
                ends = self._end_of_all(partitions)
            except KafkaException as error:
                if not is_transient(error.args[0]):
                    raise
                ends = last + 1  # the broker does not answer, so the stack is not idle
            if ends != last or self._lagging():
                last, since = ends, time.monotonic()
            time.sleep(0.25)

    def _end_of_all(self, partitions: list[TopicPartition]) -> int:
        """Return the sum of the ends of the partitions; one request asks for all of them.

        Raises:
            KafkaException: a partition has no leader, or the cluster did not answer.
        """
        request = dict.fromkeys(partitions, OffsetSpec.latest())
        ends = self.admin.list_offsets(request, request_timeout=30)
        return sum(end.result().offset for end in ends.values())

    def _lagging(self) -> list[str]:
        """Return the running processes that are not ready, or have records left to read."""
        running = [process for process in self.processes if process.is_alive]
        return [
            f"{process.role} on port {process.port}"
            for process in running
            if not process.is_ready or _lag(process.metrics()) != 0
        ]

    def judge(self, earlier: Handler | None = None) -> Verdict:
        """Stop the gateways and the workers, then the mailers, and compare everything with a recomputation from the input.

        Args:
            earlier: decides again what an earlier program decided.

        Raises:
            AssertionError: the changelog or a disk holds other state than the recomputation.
        """
        stopped_ms = int(time.time() * 1000)
        # All processes of a role stop at once. One after the other, each would pass its partitions to the next.
        with ThreadPoolExecutor() as pool:
            list(pool.map(Process.stop, [*self.gateways, *self.workers]))
            # A timer may just have fired, and its email has still to be sent.
            self.wait_until_idle(quiet_s=1.0)
            list(pool.map(Process.stop, self.mailers))
        changelog = f"{self.settings.app_id}-flows-customers-changelog"
        records = read_all(self.settings.kafka(), [*topics.SCHEMA_OF, changelog])
        self.complete(records)
        folders = (*self.other_templates, self.settings.templates_dir)
        *others, ruleset = [load_ruleset(folder, **self.settings.ruleset_options()) for folder in folders]
        arrived = Counter(mail.send_id for mail in self.inbox.mails())
        partitions = self.settings.partitions
        verdict = judge(records, ruleset, self.codec, arrived, partitions, stopped_ms - 5_000, others, earlier)
        logged = {r.key(): r.value() for r in records[changelog]}
        logged = {key: value for key, value in logged.items() if value is not None and not key.startswith(RESERVED)}
        assert logged == verdict.states, "the changelog differs from the recomputed state"
        self._compare_disks(verdict.states)
        return verdict

    def _compare_disks(self, states: dict[bytes, bytes]) -> None:
        """Compare the newest copy of each partition, and each standby replica that is as new, with the recomputed state."""
        copies: dict[int, list[tuple[int, dict[bytes, bytes]]]] = {}
        for path in sorted(self.folder.glob("state*/flows/**/customers/*")):
            if not path.name.isdecimal():
                continue  # a damaged copy, or the note beside it
            store = PartitionStore(path, Memory(16))
            copies.setdefault(int(path.name), []).append((store.position, dict(store.items())))
            store.close()
        on_disk: dict[bytes, bytes] = {}
        for replicas in copies.values():
            newest = max(position for position, _ in replicas)
            # A commit marker takes one offset, which only a replica that read to the end has counted.
            equal = [entries for position, entries in replicas if position >= newest - 1]
            assert all(entries == equal[0] for entries in equal), "a standby replica differs from its original"
            on_disk.update({key: value for key, value in equal[0].items() if not key.startswith(RESERVED)})
        assert on_disk == states, "the disk differs from the recomputed state"


@contextmanager
def open_stack(
    folder: Path, brokers: int = 1, *, broker: Mapping[str, str] = MappingProxyType({}), **more: Any
) -> Iterator[Stack]:
    """Start a stack with its own brokers and inbox, and stop all of it at the end of the block.

    Args:
        folder: for the files of the stack.
        brokers: number of brokers, and replication factor of all topics.
        broker: further settings of a single broker.
        more: passed to `Stack`.
    """
    alone = EmbeddedKafka(folder / "kafka", settings=broker)
    kafka = EmbeddedCluster(folder / "kafka", brokers) if brokers > 1 else alone
    with kafka, ScriptedInbox(journal=folder / "inbox.jsonl") as inbox:
        stack = Stack(folder, kafka.bootstrap, inbox, replication=brokers, **more)
        stack.brokers = kafka.brokers if isinstance(kafka, EmbeddedCluster) else [kafka]
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()
