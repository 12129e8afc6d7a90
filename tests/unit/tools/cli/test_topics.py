"""`takk topics` without a broker."""

from __future__ import annotations

import pytest

from tests.unit.tools.cli.runner import run


def test_no_broker_is_a_message(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    """A cluster that is not there ends the command within seconds, with what to do."""
    monkeypatch.setattr("streams.tools.operations.doctor.TIMEOUT_S", 0.5)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{unused_tcp_port}")
    code, output = run("topics", "create")
    assert code == 1
    assert "KAFKA_BOOTSTRAP_SERVERS" in output
