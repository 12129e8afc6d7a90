"""Probes and gauges of real processes: during a restore, with an unavailable mail server, and when all records are processed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.core.model.customer import new_customer
from streams.core.model.customer_codec import encode_customer
from streams.runtime.kafka.topic_admin import ensure_topics
from streams.settings import Settings
from streams.tools.local.kafka.ports import free_port
from streams.tools.local.processes import Process
from streams.wire import topics
from tests.harness.probe import probe
from tests.harness.stack import Stack, open_stack, wait_until

#: Seconds per day: so many that no timer fires and no email expires during a test.
DAY_S = 600.0
#: Records in the changelog. Their restore takes one or two seconds.
RECORDS = 250_000
FLOWS = '{stage="flows"}'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for this module, with long days."""
    with open_stack(tmp_path_factory.mktemp("stack"), day_s=DAY_S) as stack:
        yield stack


def fill(settings: Settings, changelog: str) -> None:
    """Create a changelog with `RECORDS` customers. State without any offset would be refused, so the group gets some."""
    ensure_topics(settings.kafka(), [topics.changelog_spec(changelog)], settings.partitions, 1)
    producer = Producer({**settings.kafka(), "queue.buffering.max.messages": RECORDS + 1, "linger.ms": 20})
    value = encode_customer(new_customer("c1"))
    for number in range(RECORDS):
        producer.produce(changelog, value, b"%d" % number, partition=number % settings.partitions)
        if not number % 10_000:
            producer.poll(0)
    assert producer.flush(60) == 0
    group = changelog.removesuffix("-customers-changelog")
    offsets = [TopicPartition(topics.ORDERS, number, 0) for number in range(settings.partitions)]
    admin = AdminClient(settings.kafka())
    admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, offsets)])[group].result()


def lines_of(log_file: Path) -> list[dict[str, Any]]:
    """Return the lines of a log, all of which are JSON."""
    return [json.loads(line) for line in log_file.read_text().splitlines()]


def test_a_restoring_worker_reports_its_progress(stack: Stack) -> None:
    """During a restore the worker is live and not ready, and `/readyz`, metrics and log report the progress; then it is ready."""
    fill(stack.settings, "third-flows-customers-changelog")
    env = {**stack.env, "TAKK_STATE_DIR": str(stack.folder / "state-3"), "TAKK_GROUP_INSTANCE_ID": "third"}
    process = Process("worker", {**env, "TAKK_APP_ID": "third"}, stack.folder / "third.log")
    statuses: list[tuple[int, int]] = []
    during_restore: list[tuple[str, dict[str, float]]] = []

    def is_ready() -> bool:
        # In this order, because a server that answers the first probe must answer the second one.
        readyz, body = probe(process, "/readyz")
        livez = probe(process, "/livez")[0]
        statuses.append((livez, readyz))
        if readyz == 503 and body.startswith("restoring flows"):
            during_restore.append((body, process.series()))
        return statuses[-1] == (200, 200)

    process.start()
    try:
        wait_until(is_ready, "the worker is ready")
        after = process.series()
    finally:
        process.kill()
    assert {livez for livez, readyz in statuses if readyz} == {200}
    assert any(" s left\n" in body for body, _ in during_restore), during_restore
    assert any(
        0 < series[f"takk_restore_progress_ratio{FLOWS}"] < 1
        and series[f"takk_restore_offsets_per_second{FLOWS}"] > 0
        and series[f"takk_restore_left_seconds{FLOWS}"] > 0
        for _, series in during_restore
        if f"takk_restore_progress_ratio{FLOWS}" in series
    ), during_restore
    assert after[f"takk_restored_records_total{FLOWS}"] == RECORDS
    assert after[f"takk_restore_progress_ratio{FLOWS}"] == 1
    assert after[f"takk_restore_left_seconds{FLOWS}"] == 0
    lines = [line for line in lines_of(process.log_file) if line.get("stage") == "flows"]
    progress = next(line for line in lines if line["event"] == "restoring")
    assert progress["offsets_total"] == RECORDS
    assert 0 <= progress["offsets_done"] < RECORDS
    assert {"percent", "offsets_per_s", "seconds_left"} <= set(progress)
    assert [line["records"] for line in lines if line["event"] == "restored"] == [RECORDS]


def test_a_used_port_is_an_error(stack: Stack) -> None:
    """A worker whose port is in use ends at once; its error names the setting, without a traceback."""
    env = {**stack.env, "TAKK_STATE_DIR": str(stack.folder / "state-4"), "TAKK_APP_ID": "fourth"}
    process = Process("worker", env, stack.folder / "fourth.log")
    process.start(TAKK_WEB_PORT=str(stack.worker.port))
    try:
        wait_until(lambda: not process.is_alive, "the worker has ended")
    finally:
        process.kill()
    log = process.log_file.read_text()
    assert "TAKK_WEB_PORT" in log
    assert "Traceback" not in log
    assert process.stop() == 1


def lag(process: Process) -> tuple[float, float]:
    """Return the lag of a process in records and seconds, over its stages and partitions; -1 without the metric."""
    metrics = process.metrics()
    return metrics.get("takk_lag_records", -1.0), metrics.get("takk_lag_seconds", -1.0)


def test_each_process_exports_its_own_metrics(stack: Stack) -> None:
    """A worker and a mailer export their own series before anything happens, none of the other's, and the state of the process."""
    worker, mailer = stack.worker.series(), stack.mailer.series()
    by_flow = '{flow="order-confirmation",outcome="sent"}'
    assert (mailer[f"takk_mails_total{by_flow}"], mailer["takk_smtp_paused"]) == (0, 0)
    assert worker["takk_timers_fired_total"] == 0
    assert worker['takk_flow_info{flow="order-confirmation",state="live",version="1"}'] == 1
    assert not [name for name in worker if name.startswith(("takk_mails", "takk_smtp", "takk_withdrawals"))]
    assert not [
        name for name in mailer if name.startswith(("takk_timers", "takk_decisions", "takk_engagement", "takk_pool"))
    ]
    for series, stage in ((worker, "flows"), (mailer, "mailer")):
        assert series[f'takk_build_info{{version="{version("takk")}"}}'] == series["takk_ready"] == 1
        assert series["takk_kafka_unreachable"] == 0
        assert series["takk_rebalances_total"] >= 1
        assert series[f'takk_stage_partitions{{stage="{stage}"}}'] == stack.settings.partitions
        assert 0 < series["takk_disk_free_bytes"] < series["takk_disk_size_bytes"]


def test_gauges_of_an_idle_stack(stack: Stack) -> None:
    """After a burst of orders the lag of worker and mailer is 0, and pending timers are counted, also after a kill."""
    stack.run_shop(3.0, 30.0).join()
    stack.wait_until_idle()
    for process in stack.processes:
        stack.wait_until(lambda process=process: lag(process) == (0, 0), f"the {process.role} has no lag")
    timers = stack.worker.metrics()["takk_timers_stored_total"]
    assert timers > 0
    assert stack.worker.metrics()["takk_timers_pending"] == timers
    assert stack.mailer.series()['takk_smtp_seconds_count{outcome="accepted"}'] == stack.inbox.accepted
    assert stack.mailer.metrics()["takk_render_seconds_count"] == stack.inbox.accepted
    stack.worker.kill()
    stack.worker.start()
    stack.worker.await_ready()
    partitions = 3 * stack.settings.partitions  # of flows, scheduler and popularity
    stack.wait_until(
        lambda: stack.worker.metrics().get("takk_assigned_partitions") == partitions,
        "the worker has its partitions again",
    )
    stack.wait_until(lambda: stack.worker.metrics().get("takk_timers_pending") == timers, "the same timers are pending")


def test_lag_grows_while_the_mail_server_is_unavailable(stack: Stack) -> None:
    """The lag of a mailer without a mail server counts its commands, and its seconds grow."""
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
        wait_until(lambda: lag(process)[1] > seconds + 1, "the seconds of lag grow")
        assert records > 0
        wait_until(lambda: process.metrics().get("takk_smtp_paused") == 1, "the mailer reports that it is paused")
    finally:
        process.kill()
