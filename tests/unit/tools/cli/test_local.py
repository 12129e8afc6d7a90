"""`takk demo`, `takk shop` and `takk kafka`: what they print if they cannot start."""

from __future__ import annotations

import fcntl
import socket
from pathlib import Path

import pytest

from streams.tools.local import demo
from streams.tools.local.kafka.jars import KafkaStartError
from streams.tools.local.processes import ProcessFailed
from tests.unit.tools.cli.runner import run


def test_a_kafka_that_cannot_start(tmp_path: Path, unused_tcp_port: int) -> None:
    """A port that is in use and a directory that cannot be created are reported."""
    with socket.create_server(("127.0.0.1", unused_tcp_port)):
        code, output = run("kafka", "start", "--dir", str(tmp_path / "k"), "--port", str(unused_tcp_port))
    assert code == 1
    assert f"port {unused_tcp_port} is in use" in output
    assert "--port" in output
    (tmp_path / "file").touch()
    code, output = run("kafka", "start", "--dir", str(tmp_path / "file" / "k"), "--port", str(unused_tcp_port))
    assert code == 1
    assert f"cannot write {tmp_path / 'file' / 'k'}" in output


def test_a_demo_that_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that cannot be created is reported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".takk").touch()
    code, output = run("demo", "--for", "1")
    assert code == 1
    assert "cannot write .takk/demo: Not a directory" in output


@pytest.mark.parametrize("error", [KafkaStartError("no network"), ProcessFailed("the worker ended while starting")])
def test_a_demo_that_cannot_start(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka, a worker or a mailer that cannot start is reported without a stack trace."""

    def fail(*_: object, **__: object) -> int:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "run", fail)
    assert run("demo", "--for", "1") == (1, f"Error: {error}\n")


def test_a_second_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo does not start while another one runs in the same directory, and leaves the other's files."""
    monkeypatch.chdir(tmp_path)
    log = tmp_path / ".takk" / "demo" / "worker.log"
    log.parent.mkdir(parents=True)
    log.touch()
    with (tmp_path / ".takk" / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, output = run("demo", "--for", "1")
    assert code == 1
    assert f"another demo is running in {tmp_path}" in output
    assert log.exists()


def test_a_shop_asks_first(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    """Without an answer no order is invented; with --yes, an unreachable Kafka is reported."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{unused_tcp_port}")
    code, output = run("shop", "--for", "1")
    assert code == 1
    assert "Never do it where a real shop writes" in output
    assert "does not answer" not in output
    code, output = run("shop", "--for", "1", "--yes")
    assert code == 1
    assert f"127.0.0.1:{unused_tcp_port}" in output
