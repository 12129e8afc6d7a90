"""`takk worker` and `takk mailer` without a broker."""

from __future__ import annotations

import pytest

from tests.unit.tools.cli.runner import run


@pytest.mark.parametrize("role", ["worker", "mailer"])
def test_a_missing_broker_is_reported(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Kafka, the message names the address and the setting to check, without a traceback."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    code, output = run(role)
    assert code == 1
    assert "no answer from 127.0.0.1:1" in output
    assert "KAFKA_BOOTSTRAP_SERVERS" in output
