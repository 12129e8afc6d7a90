"""The embedded Kafka: it starts fast, keeps its data on request, commits transactions, and ends with its parent process."""

from __future__ import annotations

import functools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.tools.local.kafka.aot_cache import aot_cache, aot_options
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.tools.local.kafka.detached import start_detached, stop_detached
from streams.tools.local.kafka.jars import KafkaStartError, cache_dir, classpath
from streams.tools.local.kafka.ports import PORTS, _claims, free_port
from tests.harness.fixed_flows import FLOWS, templates_with

QUIET = {"log_level": "0"}
#: A parent process that starts a broker, prints its port and folder, and waits until it is killed.
PARENT = """
import sys, time
from pathlib import Path
from streams.tools.local.kafka.broker import EmbeddedKafka
kafka = EmbeddedKafka(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
kafka.start()
print(kafka.port, kafka.data_dir, flush=True)
time.sleep(300)
"""


class NoNetwork:
    """Replaces jgo's access to Maven on a machine that cannot reach a repository."""

    def __init__(self, **settings: object) -> None:
        """Accept the settings of `MavenContext`."""

    def project(self, group: str, artifact: str) -> None:
        """Raise the error of a request that gets no answer."""
        raise ConnectionError("no route to host")


def _until(condition: Callable[[], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """Return all committed records of a topic with one partition, once there are `count` of them or after 30 s."""
    settings = {
        **QUIET,
        "bootstrap.servers": bootstrap,
        "group.id": "reader",
        "group.instance.id": "reader-1",
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    values: list[bytes] = []
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error():
                if len(values) >= count:
                    break
                continue
            values.append(message.value())
    finally:
        consumer.close()
    return values


@pytest.fixture(scope="module", autouse=True)
def _jars() -> None:
    """Download the jars before the measured starts."""
    classpath()


@pytest.mark.campaign
def test_transactions_survive_a_restart_on_the_same_folder(tmp_path: Path) -> None:
    """Consumers read committed and not aborted records, before and after a restart; reading does not create a topic."""
    kafka = EmbeddedKafka(tmp_path / "kafka")
    bootstrap = kafka.start()
    try:
        admin = AdminClient({**QUIET, "bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic("facts", 1, 1)])["facts"].result()
        producer = Producer({**QUIET, "bootstrap.servers": bootstrap, "transactional.id": "writer"})
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce("facts", b"kept")
        producer.commit_transaction()
        producer.begin_transaction()
        producer.produce("facts", b"dropped")
        producer.flush(10)
        producer.abort_transaction()
        assert _read(bootstrap, "facts", 1) == [b"kept"]
        assert admin.list_topics("nowhere", timeout=10).topics["nowhere"].error is not None
    finally:
        kafka.stop()
    assert not _listens(kafka.port)
    again = EmbeddedKafka(tmp_path / "kafka")
    bootstrap = again.start()
    try:
        assert _read(bootstrap, "facts", 1) == [b"kept"]
    finally:
        again.stop()


@pytest.mark.campaign
@pytest.mark.parametrize("is_kept", [False, True])
def test_the_broker_ends_when_its_parent_is_killed(tmp_path: Path, is_kept: bool) -> None:
    """After kill -9 of its parent the broker ends; a temporary folder is deleted, a kept folder can be started again."""
    folder = [str(tmp_path / "kafka")] if is_kept else []
    command = [sys.executable, "-c", PARENT, *folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port, data_dir = parent.stdout.readline().split()
        assert _listens(int(port))
        parent.send_signal(signal.SIGKILL)
    assert _until(lambda: not _listens(int(port)), 60)
    if is_kept:
        with EmbeddedKafka(Path(data_dir)) as kafka:
            assert _listens(kafka.port)
    else:
        assert _until(lambda: not Path(data_dir).exists(), 60)


@pytest.mark.campaign
def test_a_broker_restarts_on_its_port(tmp_path: Path) -> None:
    """After a kill or a stop the same object starts again with its port and records; a start while it runs fails."""
    kafka = EmbeddedKafka(tmp_path / "kafka")
    bootstrap = kafka.start()
    try:
        admin = AdminClient({**QUIET, "bootstrap.servers": bootstrap})
        admin.create_topics([NewTopic("facts", 1, 1)])["facts"].result()
        producer = Producer({**QUIET, "bootstrap.servers": bootstrap})
        producer.produce("facts", b"first")
        assert producer.flush(30) == 0
        kafka.kill()
        assert not kafka.is_alive
        assert kafka.start() == bootstrap
        producer.produce("facts", b"second")
        assert producer.flush(30) == 0
        with pytest.raises(KafkaStartError, match="already running"):
            kafka.start()
        kafka.stop()
        assert kafka.start() == bootstrap
        assert _read(bootstrap, "facts", 2) == [b"first", b"second"]
    finally:
        kafka.stop()


def test_free_ports_are_not_ephemeral() -> None:
    """Free ports are outside the range that the system assigns to clients, so the port of a stopped broker stays free."""
    with socket.socket() as client:
        client.bind(("127.0.0.1", 0))
        assert client.getsockname()[1] not in PORTS
    assert free_port() in PORTS


def test_two_processes_get_different_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port is reserved for one process until it ends, also without a listener, so concurrent test runs never share a port."""
    few = range(PORTS.start - 4, PORTS.start)
    monkeypatch.setattr("streams.tools.local.kafka.ports.PORTS", few)
    # An own file of reservations, since another run of this test may use the same ports.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("streams.tools.local.kafka.ports._claims", functools.cache(_claims.__wrapped__))
    other = "from streams.tools.local.kafka import ports; ports.PORTS = range(*map(int, __import__('sys').argv[1:])); "
    other += "print(ports.free_port(), ports.free_port(), flush=True); input()"
    command = [sys.executable, "-c", other, str(few.start), str(few.stop)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        theirs = [int(port) for port in process.stdout.readline().split()]
        ours = [free_port(), free_port()]
        process.kill()
    assert sorted(theirs + ours) == [*few]
    monkeypatch.setattr("streams.tools.local.kafka.ports.PORTS", theirs)
    assert sorted([free_port(), free_port()]) == sorted(theirs)


def test_a_detached_broker_runs_until_it_is_stopped(tmp_path: Path) -> None:
    """With `takk kafka start` and `stop`, a second start in the same folder is an error, and a second stop finds no broker."""
    port = free_port()
    program = "import sys; from pathlib import Path; from streams.tools.local.kafka.detached import start_detached; "
    program += "print(start_detached(Path(sys.argv[1]), int(sys.argv[2])))"
    command = [sys.executable, "-c", program, str(tmp_path), str(port)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90)
    assert result.stdout.strip() == f"127.0.0.1:{port}"
    try:
        assert _listens(port)
        with pytest.raises(KafkaStartError, match="takk kafka stop"):
            start_detached(tmp_path, port)
    finally:
        was_running = stop_detached(tmp_path)
    assert was_running
    assert not _listens(port)
    assert not stop_detached(tmp_path)


@pytest.mark.campaign
def test_a_failed_start_names_the_port_and_the_log(tmp_path: Path) -> None:
    """The error of a start on a used port names the port and the log file, and the log file exists."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        kafka = EmbeddedKafka(tmp_path / "kafka", port)
        with pytest.raises(KafkaStartError, match=rf"(?s)Its log is .*broker\.log.*port {port}"):
            kafka.start()
    assert kafka.log_file.exists()
    kafka.stop()


def test_an_unreachable_repository_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the jars cannot be downloaded, the error suggests another cluster, and the cache has no incomplete entry."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("jgo.maven.MavenContext", NoNetwork)
    with pytest.raises(KafkaStartError, match="KAFKA_BOOTSTRAP_SERVERS"):
        classpath()
    assert not list((tmp_path / "takk").glob("*.classpath"))


def test_the_pid_needs_a_started_broker(tmp_path: Path) -> None:
    """The pid of a broker that was never started raises an error with an explanation."""
    with pytest.raises(KafkaStartError, match="not been started"):
        _ = EmbeddedKafka(tmp_path / "kafka").pid


def test_no_broker_answers_after_the_context_ends() -> None:
    """The end of the context stops the broker and deletes its temporary folder."""
    with EmbeddedKafka() as kafka:
        assert AdminClient({**QUIET, "bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).brokers
    assert not kafka.data_dir.exists()
    with pytest.raises(KafkaException):
        AdminClient({**QUIET, "bootstrap.servers": kafka.bootstrap}).list_topics(timeout=0.5)


@pytest.mark.parametrize(
    "content", [pytest.param(None, id="missing", marks=pytest.mark.campaign), pytest.param(b"damaged", id="damaged")]
)
def test_a_broker_starts_without_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    """A broker starts although the cache of its classes is missing or damaged."""
    jars, paths = cache_dir(), classpath()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "takk").mkdir()
    for path in jars.iterdir():
        if path.suffix != ".aot":
            (tmp_path / "takk" / path.name).symlink_to(path)
    if content is not None:
        aot_cache(paths).write_bytes(content)
    assert bool(aot_options(paths)) == (content is not None)
    with EmbeddedKafka(tmp_path / "kafka") as kafka:
        assert AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=30).brokers


def test_sigterm_ends_the_demo_and_its_processes(tmp_path: Path) -> None:
    """SIGTERM ends the demo as Ctrl-C does: worker and mailer end too, and the results are printed."""
    templates = templates_with(FLOWS, tmp_path / "templates")
    # With long days few timers fire, so a busy machine keeps up.
    env = {**os.environ, "DAY": "1h", "TAKK_TEMPLATES_DIR": str(templates)}
    command = [sys.executable, "-m", "streams", "demo", "--rate", "1"]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        metrics_line = next(line for line in demo.stdout if line.startswith("metrics"))
        next(line for line in demo.stdout if line.startswith("seconds=5"))
        demo.send_signal(signal.SIGTERM)
        assert "lost=0 duplicates=0" in demo.stdout.read()
        assert demo.wait(60) == 0
    assert not [port for port in re.findall(r":(\d+)/", metrics_line) if _listens(int(port))]
