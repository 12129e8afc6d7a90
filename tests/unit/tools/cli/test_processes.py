"""`takk worker` and `takk mailer` without a broker."""

from __future__ import annotations

import pytest

from tests.unit.tools.cli.runner import run


@pytest.mark.parametrize("role", ["worker", "mailer"])
def test_a_process_without_a_broker_says_so(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Kafka there: a line that names the address and what to look at, not a stack of calls."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    code, said = run(role)
    assert code == 1
    assert "no answer from 127.0.0.1:1" in said
    assert "KAFKA_BOOTSTRAP_SERVERS" in said
