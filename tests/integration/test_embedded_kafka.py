"""The embedded Kafka: it starts fast, keeps what it is told to keep, commits transactions, and goes when its parent goes."""

from __future__ import annotations

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

from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.tools.local.kafka.detached import start_detached, stop_detached
from streams.tools.local.kafka.jars import KafkaStartError, classpath
from streams.tools.local.kafka.ports import PORTS, free_port

QUIET = {"log_level": "0"}
#: A parent that starts a broker, says its port and its folder, and then does nothing until it is killed.
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
    """The first `count` committed records of a topic with one partition, and whatever came with them."""
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
    """The first start on a machine fetches the jars; that is not what is measured here."""
    classpath()


def test_transactions_are_kept_over_a_restart_on_the_same_folder(tmp_path: Path) -> None:
    """Committed records are read, aborted ones are not, before and after a stop; topics are not created by accident."""
    kafka = EmbeddedKafka(tmp_path / "kafka")
    began = time.monotonic()
    bootstrap = kafka.start()
    first_start_s = time.monotonic() - began
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
    began = time.monotonic()
    bootstrap = again.start()
    restart_s = time.monotonic() - began
    try:
        assert _read(bootstrap, "facts", 1) == [b"kept"]
    finally:
        again.stop()
    # Generous: the promise is 10 s on a machine that does nothing else.
    assert max(first_start_s, restart_s) < 30


@pytest.mark.parametrize("is_kept", [False, True])
def test_it_goes_when_its_parent_is_killed(tmp_path: Path, is_kept: bool) -> None:
    """kill -9 of the process that started it ends the broker; a temporary folder goes too, a kept one starts again."""
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


def test_the_same_broker_starts_again_on_its_port(tmp_path: Path) -> None:
    """After kill -9 and after a stop one object starts again, with its port and its records; while it runs it does not."""
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


def test_a_free_port_is_given_to_no_client() -> None:
    """The port of a broker that is dead for a while stays free: it lies outside those that the system gives to clients."""
    with socket.socket() as client:
        client.bind(("127.0.0.1", 0))
        assert client.getsockname()[1] not in PORTS
    assert free_port() in PORTS


def test_two_processes_get_different_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port is one process's until it ends, also while nobody listens there: two test runs at once never start a broker on the same."""
    few = range(PORTS.start - 4, PORTS.start)  # nobody else looks for one there
    monkeypatch.setattr("streams.tools.local.kafka.ports.PORTS", few)
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


def test_detached_it_lives_on_until_it_is_stopped(tmp_path: Path) -> None:
    """`takk kafka start|stop`: a second start in the same folder is refused in words, a second stop finds nothing."""
    port = free_port()
    program = "import sys; from pathlib import Path; from streams.tools.local.kafka.detached import start_detached; "
    program += "print(start_detached(Path(sys.argv[1]), int(sys.argv[2])))"
    command = [sys.executable, "-c", program, str(tmp_path), str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90)
    assert done.stdout.strip() == f"127.0.0.1:{port}"
    try:
        assert _listens(port)
        with pytest.raises(KafkaStartError, match="takk kafka stop"):
            start_detached(tmp_path, port)
    finally:
        was_there = stop_detached(tmp_path)
    assert was_there
    assert not _listens(port)
    assert not stop_detached(tmp_path)


def test_a_start_that_fails_says_why_and_where_the_log_is(tmp_path: Path) -> None:
    """A port that is taken ends in an error that names the port and the log; the log is there to read."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        kafka = EmbeddedKafka(tmp_path / "kafka", port)
        with pytest.raises(KafkaStartError, match=rf"(?s)Its log is .*broker\.log.*port {port}"):
            kafka.start()
    assert kafka.log_file.exists()
    kafka.stop()


def test_jars_that_cannot_be_fetched_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the jars the error says what to check and what to do instead; nothing half-made stays in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("jgo.maven.MavenContext", NoNetwork)
    with pytest.raises(KafkaStartError, match="KAFKA_BOOTSTRAP_SERVERS"):
        classpath()
    assert not list((tmp_path / "takk").glob("*.classpath"))


def test_there_is_no_process_before_the_start(tmp_path: Path) -> None:
    """Asking for the process of a broker that was never started is an error in words."""
    with pytest.raises(KafkaStartError, match="not been started"):
        _ = EmbeddedKafka(tmp_path / "kafka").pid


def test_no_broker_answers_after_the_context_ends() -> None:
    """Leaving the context stops the broker and deletes its temporary folder."""
    with EmbeddedKafka() as kafka:
        assert AdminClient({**QUIET, "bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).brokers
    assert not kafka.data_dir.exists()
    with pytest.raises(KafkaException):
        AdminClient({**QUIET, "bootstrap.servers": kafka.bootstrap}).list_topics(timeout=0.5)


def test_a_demo_that_is_asked_to_go_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGTERM ends it as Ctrl-C does: worker and mailer go too, and what came of it is told."""
    with subprocess.Popen(
        [sys.executable, "-m", "streams", "demo"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        said = next(line for line in demo.stdout if line.startswith("metrics"))
        next(line for line in demo.stdout if line.startswith("seconds=5"))
        demo.send_signal(signal.SIGTERM)
        assert "lost=0 duplicates=0" in demo.stdout.read()
        assert demo.wait(60) == 0
    assert not [port for port in re.findall(r":(\d+)/", said) if _listens(int(port))]
