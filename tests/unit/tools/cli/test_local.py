"""`takk demo` and `takk kafka`: what they print if they cannot start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

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
