"""A process that cannot join its group yet waits, says so, and goes on without help."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.runtime.app import EXIT_FATAL
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.tools.local.processes import Process
from tests.harness.kafka_proxy import KafkaProxy
from tests.harness.probe import probe
from tests.harness.stack import wait_until


def environment(bootstrap: str, folder: Path, app_id: str) -> dict[str, str]:
    """Return the settings of a process with a state folder of its own."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "TAKK_STATE_DIR": str(folder / "state"),
        "TAKK_APP_ID": app_id,
        "TAKK_MAIL_SECRET": "5d6ad4a0c4b1f2e79a3c8d5e",
        "TAKK_PARTITIONS": "3",  # as in all modules with this broker
    }


def lines_of(process: Process) -> list[dict[str, Any]]:
    """Return the lines of a process's log, all of which are JSON."""
    return [json.loads(line) for line in process.log_file.read_text().splitlines()]


@pytest.mark.parametrize("role", ["worker", "mailer"])
def test_a_process_waits_for_kafka(kafka: EmbeddedKafka, tmp_path: Path, role: str) -> None:
    """While Kafka is away the process is alive and not ready, and both `/readyz` and the log name the address; then it becomes ready."""
    proxy = KafkaProxy(kafka.port)
    process = Process(role, environment(proxy.bootstrap, tmp_path, f"waits-{role}"), tmp_path / "process.log")
    process.start()
    try:
        wait_until(lambda: probe(process, "/readyz")[1].startswith("waiting for Kafka"), "it waits")
        status, body = probe(process, "/readyz")
        assert (status, proxy.bootstrap in body) == (503, True)
        assert probe(process, "/livez")[0] == 200
        assert process.metrics()["takk_kafka_unreachable"] == 1
        with proxy:
            process.await_ready()
            assert process.stop() == 0
    finally:
        process.kill()
    lines = lines_of(process)
    (waiting, *_) = [line for line in lines if line["event"] == "waiting for Kafka"]
    assert waiting["broker"] == proxy.bootstrap
    assert "Connection refused" in waiting["reason"]
    # On a busy machine a later step may wait for an answer again.
    assert "the start goes on" in {line["event"] for line in lines}


@pytest.mark.campaign
def test_two_processes_with_one_name_do_not_fence_each_other_without_end(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    """The second process takes the name over. The first one ends, and after its restart waits in words until the name is free."""
    first, second = (
        Process(
            "mailer",
            {
                **environment(kafka.bootstrap, tmp_path / name, "one-name"),
                "TAKK_GROUP_INSTANCE_ID": "mailer-1",
                "TAKK_SESSION_TIMEOUT_S": "6",
            },
            tmp_path / f"{name}.log",
        )
        for name in ("first", "second")
    )
    try:
        first.start()
        first.await_ready()
        wait_until(lambda: first.metrics()["takk_member"] == 1, "the first one is a member")
        second.start()
        second.await_ready()
        wait_until(lambda: not first.is_alive, "the first one has ended")
        assert first.exit_code == EXIT_FATAL
        first.start()
        wait_until(
            lambda: "another process uses the name mailer-1" in probe(first, "/readyz")[1], "the first one waits"
        )
        assert (probe(first, "/readyz")[0], probe(first, "/livez")[0]) == (503, 200)
        assert second.is_ready
        second.kill()
        first.await_ready()
    finally:
        first.kill()
        second.kill()
    (waiting, *_) = [line for line in lines_of(first) if line["event"] == "waiting for a name"]
    assert "TAKK_GROUP_INSTANCE_ID" in waiting["hint"]
