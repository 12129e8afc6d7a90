"""librdkafka's log lines: in the format of all logs, without a flood while a broker is away."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from streams.observability.logs import setup_logs
from streams.runtime.kafka import client_config as module
from streams.runtime.kafka.client_config import SEVERE, admin_config, client_config, consumer_config, producer_config
from streams.runtime.kafka.client_log import MAX_KINDS, ClientLog

REFUSED = (
    "[thrd:b:9092/1]: b:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after {}ms in state CONNECT)"
)


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """The log of the process."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    setup_logs(stream=stream, secrets=["hunter2hunter2"])
    yield stream
    structlog.reset_defaults()
    root.handlers[:], level = before
    root.setLevel(level)


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    """Return the lines of the log."""
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_a_line_has_level_facility_and_client(output: io.StringIO) -> None:
    """Lines are JSON with known keys, without the thread, statistics and secrets."""
    ClientLog().log(logging.ERROR, "%s [%s] %s", "FAIL", "worker-1#consumer-2", REFUSED.format(3) + " hunter2hunter2")
    ClientLog().log(logging.WARNING, "%s [%s] %s", "OFFSET", "x#consumer-1", "[thrd:main]: password hunter2hunter2")
    first, second = lines(output)
    assert (first["level"], first["facility"], first["client"]) == ("error", "FAIL", "worker-1#consumer-2")
    assert first["detail"] == "b:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused"
    assert (second["level"], second["detail"]) == ("warning", "password <secret>")
    assert "omitted_keys" not in first


def test_an_outage_gives_one_line_a_minute_of_each_kind(output: io.StringIO) -> None:
    """Clients that repeat each other's errors give one line a minute, with the number of those left out; other brokers have their own."""
    clock = Clock()
    log = ClientLog(clock)
    for second in range(125):
        clock.now = 100.0 + second
        for client in ("one", "two"):
            log.log(logging.ERROR, "", "FAIL", client, REFUSED.format(second))
        log.log(
            logging.ERROR, "", "REQTMOUT", "one", f"[thrd:b]: b: Timed out {second} in-flight, {second} retry-queued"
        )
    found = [(line["facility"], line["count"]) for line in lines(output)]
    assert found == [("FAIL", 0), ("REQTMOUT", 0), ("FAIL", 119), ("REQTMOUT", 59), ("FAIL", 119), ("REQTMOUT", 59)]
    log.log(logging.ERROR, "", "FAIL", "one", REFUSED.format(1).replace("b:9092/1", "c:9092/2"))
    assert len(lines(output)) == 7


def test_lines_that_are_not_about_connections_are_kept(output: io.StringIO) -> None:
    """Each partition whose offset was reset has its line, however many there are, and the memory is bounded."""
    log = ClientLog()
    for partition in range(2 * MAX_KINDS):
        log.log(logging.WARNING, "", "OFFSET", "one", f"orders [{partition}]: offset reset")
    assert len(lines(output)) == 2 * MAX_KINDS
    assert len(log._kinds) <= MAX_KINDS


@pytest.mark.parametrize("kind", ["consumer", "producer", "admin"])
def test_real_clients_log_there(
    output: io.StringIO, kind: str, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """A client whose broker is away writes JSON, and nothing to standard error itself."""
    monkeypatch.setattr(module, "CLIENT_LOG", ClientLog())
    kafka = {"bootstrap.servers": f"127.0.0.1:{unused_tcp_port}", "client.id": "me"}
    client: Any
    if kind == "consumer":
        client = Consumer(consumer_config(kafka, "group"))
    else:
        client = Producer(client_config(kafka)) if kind == "producer" else AdminClient(admin_config(kafka))
    deadline = time.monotonic() + 30
    while not lines(output) and time.monotonic() < deadline:
        client.consume(1, 0.1) if kind == "consumer" else client.poll(0.1)
    assert (lines(output)[0]["facility"], lines(output)[0]["client"][:3]) == ("FAIL", "me#")
    assert "Connection refused" in lines(output)[0]["detail"]
    assert capfd.readouterr().err == ""


def test_clients_that_are_polled_rarely_log_severe_errors_only() -> None:
    """The lines of a producer would pile up in its queue while its task is idle and a broker is away."""
    assert producer_config({}, "id")["log_level"] == SEVERE
