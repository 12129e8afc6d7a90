"""What probes and gauges of real processes say: while they start and restore, while a mail server is down, and when all work is done."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from streams.core.model.customer import new_customer
from streams.core.model.customer_codec import encode_customer
from streams.runtime.kafka.topic_admin import ensure_topics
from streams.settings import Settings
from streams.tools.local.kafka.ports import free_port
from streams.tools.local.processes import Process
from streams.wire import topics
from tests.harness.stack import Stack, open_stack, wait_until

#: So long that no timer fires and no mail expires meanwhile.
DAY_S = 600.0
#: Records of the changelog that is restored: a second or two.
RECORDS = 250_000
FLOWS = '{stage="flows"}'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with open_stack(tmp_path_factory.mktemp("stack"), day_s=DAY_S) as stack:
        yield stack


def probe(process: Process, path: str) -> tuple[int, str]:
    """Status and words of a probe; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{process.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def fill(settings: Settings, changelog: str) -> None:
    """Make a changelog with `RECORDS` customers."""
    ensure_topics(settings.kafka(), [topics.changelog_spec(changelog)], settings.partitions, 1)
    producer = Producer({**settings.kafka(), "queue.buffering.max.messages": RECORDS + 1, "linger.ms": 20})
    value = encode_customer(new_customer("c1"))
    for number in range(RECORDS):
        producer.produce(changelog, value, b"%d" % number, partition=number % settings.partitions)
        if not number % 10_000:
            producer.poll(0)
    assert producer.flush(60) == 0


def lines_of(log_file: Path) -> list[dict[str, Any]]:
    """A log's lines, which are JSON: all but librdkafka's own (%)."""
    return [json.loads(line) for line in log_file.read_text().splitlines() if not line.startswith("%")]


def test_a_worker_that_restores_tells_how_far_it_is(stack: Stack) -> None:
    """It is alive and not ready: `/readyz` refuses with the time left; metrics and log show share, rate and time left; then it is ready."""
    fill(stack.settings, "third-flows-customers-changelog")
    env = {**stack.env, "TAKK_STATE_DIR": str(stack.folder / "state-3"), "TAKK_GROUP_INSTANCE_ID": "third"}
    process = Process("worker", {**env, "TAKK_APP_ID": "third"}, stack.folder / "third.log")
    seen: list[tuple[int, int]] = []
    meanwhile: list[tuple[str, dict[str, float]]] = []

    def is_ready() -> bool:
        # In this order: a server that answers the first must answer the second.
        readyz, words = probe(process, "/readyz")
        livez = probe(process, "/livez")[0]
        seen.append((livez, readyz))
        if readyz == 503 and words.startswith("restoring flows"):
            meanwhile.append((words, process.series()))
        return seen[-1] == (200, 200)

    process.start()
    try:
        wait_until(is_ready, "the worker is ready")
        after = process.series()
    finally:
        process.kill()
    assert {livez for livez, readyz in seen if readyz} == {200}
    assert any(words.endswith(" s left\n") for words, _ in meanwhile), meanwhile
    assert any(
        0 < series[f"takk_restore_progress_ratio{FLOWS}"] < 1
        and series[f"takk_restore_offsets_per_second{FLOWS}"] > 0
        and series[f"takk_restore_left_seconds{FLOWS}"] > 0
        for _, series in meanwhile
        if f"takk_restore_progress_ratio{FLOWS}" in series
    ), meanwhile
    assert after[f"takk_restored_records_total{FLOWS}"] == RECORDS
    assert after[f"takk_restore_progress_ratio{FLOWS}"] == 1
    assert after[f"takk_restore_left_seconds{FLOWS}"] == 0
    lines = [line for line in lines_of(process.log_file) if line.get("stage") == "flows"]
    told = next(line for line in lines if line["event"] == "restoring")
    assert told["offsets_total"] == RECORDS
    assert 0 <= told["offsets_done"] < RECORDS
    assert {"percent", "offsets_per_s", "seconds_left"} <= set(told)
    assert [line["records"] for line in lines if line["event"] == "restored"] == [RECORDS]


def test_port_taken(stack: Stack) -> None:
    """A worker whose port another process has ends at once, with the setting to change and without a stack of calls."""
    env = {**stack.env, "TAKK_STATE_DIR": str(stack.folder / "state-4"), "TAKK_APP_ID": "fourth"}
    process = Process("worker", env, stack.folder / "fourth.log")
    process.start(TAKK_WEB_PORT=str(stack.worker.port))
    try:
        wait_until(lambda: not process.is_alive, "the worker has ended")
    finally:
        process.kill()
    said = process.log_file.read_text()
    assert "TAKK_WEB_PORT" in said
    assert "Traceback" not in said
    assert process.stop() == 1


def lag(process: Process) -> tuple[float, float]:
    """Records and seconds that a process is behind, over its stages and partitions."""
    found = process.metrics()
    return found.get("takk_lag_records", -1.0), found.get("takk_lag_seconds", -1.0)


def test_gauges_at_rest(stack: Stack) -> None:
    """After a burst each stage of worker and mailer is 0 records and 0 seconds behind; the timers that wait are counted, after a kill too."""
    stack.run_shop(3.0, 30.0).join()
    stack.wait_until_idle()
    for process in stack.processes:
        wait_until(lambda process=process: lag(process) == (0, 0), f"the {process.role} has no lag")
    timers = stack.worker.metrics()["takk_timers_stored_total"]
    assert timers > 0
    assert stack.worker.metrics()["takk_timers_pending"] == timers
    assert stack.mailer.series()['takk_smtp_seconds_count{outcome="accepted"}'] == stack.inbox.accepted
    assert stack.mailer.metrics()["takk_render_seconds_count"] == stack.inbox.accepted
    stack.worker.kill()
    stack.worker.start()
    stack.worker.await_ready()
    partitions = 3 * stack.settings.partitions  # of flows, scheduler and popularity
    wait_until(lambda: stack.worker.metrics().get("takk_assigned_partitions") == partitions, "the worker is back")
    wait_until(lambda: stack.worker.metrics().get("takk_timers_pending") == timers, "the same timers wait")


def test_lag_grows_while_the_mail_server_is_down(stack: Stack) -> None:
    """A mailer that reads the same commands and reaches no mail server is behind by them, and by more seconds each time it is asked."""
    env = {
        **stack.env,
        "TAKK_APP_ID": "stuck",
        "TAKK_STATE_DIR": str(stack.folder / "stuck"),
        "SMTP_PORT": str(free_port()),
    }
    process = Process("mailer", env, stack.folder / "stuck.log")
    process.start()
    try:
        process.await_ready()
        wait_until(lambda: lag(process)[1] > 0, "the mailer is behind")
        records, seconds = lag(process)
        wait_until(lambda: lag(process)[1] > seconds + 1, "the seconds grow")
        assert records > 0
        wait_until(lambda: process.metrics().get("takk_smtp_paused") == 1, "the mailer says that it waits")
    finally:
        process.kill()
