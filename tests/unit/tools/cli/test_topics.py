"""`takk topics` without a broker."""

from __future__ import annotations

import pytest

from tests.unit.tools.cli.runner import run


def test_a_missing_broker_is_reported(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    """Without a broker the command ends within seconds, and names the setting to check."""
    monkeypatch.setattr("streams.tools.operations.doctor.TIMEOUT_S", 0.5)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{unused_tcp_port}")
    code, output = run("topics", "create")
    assert code == 1
    assert "KAFKA_BOOTSTRAP_SERVERS" in output
