"""`takk worker` and `takk mailer` without a broker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.tools.cli.runner import run, write_flow


@pytest.mark.parametrize("role", ["worker", "mailer"])
def test_an_unknown_host_is_reported(role: str, tmp_path: Path) -> None:
    """A broker whose name does not exist ends the start; the message names the address and the setting, without a traceback."""
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": "nowhere.invalid:9092",
        "TAKK_MAIL_SECRET": "5d6ad4a0c4b1f2e79a3c8d5e",
        "TAKK_STATE_DIR": str(tmp_path),
        "TAKK_WEB_PORT": "0",
    }
    done = subprocess.run(
        [sys.executable, "-m", "streams", role], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "cannot start: Kafka at nowhere.invalid:9092 cannot be used" in done.stderr
    assert "KAFKA_BOOTSTRAP_SERVERS" in done.stderr
    assert "Traceback" not in done.stderr


def test_flows_are_checked_before_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With errors in a flow and without a broker, the errors are reported at once."""
    write_flow(tmp_path, "sleeping")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("TAKK_TEMPLATES_DIR", str(tmp_path))
    code, output = run("worker")
    assert (code, "the flow definitions contain errors" in output, "sleeping" in output) == (1, True, True)
    assert "Kafka" not in output
