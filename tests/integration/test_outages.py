"""Failures around the processes: an unavailable mail server, restarts under load, and invalid configuration at the start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from streams.settings import PROJECT_ROOT
from streams.wire import topics
from tests.harness import records
from tests.harness.patient_templates import patient_templates
from tests.harness.stack import HEARTBEATS, PATIENCE_S, Stack, await_heartbeats, open_stack

STOP_PATIENCE_S = 15.0
#: Seconds that a slow mail server takes for each of four emails, one after the other: more than a stop waits for anything else.
SLOW_S = 4.0
SLOW_STOP_PATIENCE_S = 75.0
#: The number of times that each process is stopped under load, and the seconds for which orders are published at most.
ROUNDS = 2
LONGEST_TRADE_S = 180.0
FEWEST_EMAILS = 301


@pytest.fixture(scope="module")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for this module whose emails do not expire.

    A day lasts one second here, so an outage would outlast the days after which emails expire.
    """
    folder = tmp_path_factory.mktemp("stack")
    templates = patient_templates(folder / "templates")
    # Without this, emails that do not expire would be deferred permanently once the shop has stopped and parcels are late.
    (templates / "rules.yaml").unlink()
    for file in templates.glob("flows/*/*/flow.yaml"):
        flow = file.read_text(encoding="utf-8")
        for short in ("2d", "3d", "5d", "7d"):
            flow = flow.replace(f"expires: {short}", "expires: 90d")
        file.write_text(flow, encoding="utf-8")
    with open_stack(folder, env={"TAKK_TEMPLATES_DIR": str(templates), **HEARTBEATS}) as stack:
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """The stack with both processes running; an earlier test may have stopped them."""
    for process in shared_stack.processes:
        if not process.is_alive:
            process.start()
            process.await_ready()
    return shared_stack


def has_read_all(stack: Stack) -> bool:
    """Return whether every process has read all records. A stuck partition writes nothing either, so idle topics do not show it."""
    return all(process.metrics().get("takk_lag_records") == 0 for process in stack.processes)


def test_the_mail_server_is_down_while_orders_come(stack: Stack) -> None:
    """The mailer pauses, reports it in its metric, and continues automatically; each email that is not withdrawn arrives once."""
    stack.run_shop(1.0, 20.0, seed=11).join()
    stack.wait_until(lambda: stack.inbox.accepted > 0, "an email before the outage, so that there is a warm connection")
    # No timer may send an email at the moment when the server stops.
    stack.worker.stop()
    stack.wait_until_idle()
    before = stack.inbox.accepted
    stack.inbox.stop()
    stack.worker.start()
    shop = stack.run_shop(4.0, 30.0, seed=12)
    stack.wait_until(lambda: stack.mailer.metrics().get("takk_smtp_paused") == 1, "takk_smtp_paused is 1")
    shop.join()
    assert stack.inbox.accepted == before
    assert stack.mailer.is_alive
    stack.inbox.start()
    stack.wait_until(lambda: stack.mailer.metrics().get("takk_smtp_paused") == 0, "takk_smtp_paused is 0 again")
    stack.wait_until_idle()
    assert stack.mailer.is_alive
    verdict = stack.judge()
    assert (verdict.problems, verdict.lost, verdict.duplicates, verdict.unknown) == ([], [], [], [])
    assert len(verdict.sends) > before + 50
    ended = {event["send_id"]: event for event in stack.records(topics.EVENTS)}
    assert ended.keys() == verdict.sends
    # An order may be cancelled while its email waits. Then the email is withdrawn, and the oracle checks each withdrawal.
    # A new shop does not always have a product to recommend.
    withdrawn = {(record["send_id"], record["rule"]) for record in stack.records(topics.WITHDRAWALS)}
    without = {
        send_id
        for send_id, event in ended.items()
        if event["outcome"] == "suppressed"
        and (event["reason"] == "too_few_products" or (send_id, event["reason"]) in withdrawn)
    }
    assert {event["outcome"] for send_id, event in ended.items() if send_id not in without} == {"sent"}
    assert Counter(email.send_id for email in stack.inbox.mails()) == Counter(verdict.sends - without)


def test_an_unsubscription_withdraws_emails_that_wait(stack: Stack) -> None:
    """The mailer sends the queued order confirmation, suppresses the other queued emails, and a decision gives the reason."""
    customer, now = "c-waits", datetime.now(UTC)
    stack.wait_until_idle()
    stack.inbox.stop()
    facts = {"customer_id": customer, "order_id": "o-waits", "occurred_at": now}
    stack.produce(topics.ORDERS, customer.encode(), records.order(**facts, placed_at=now))
    stack.produce(topics.SHIPMENTS, customer.encode(), records.shipment(**facts, status="delivered"))
    commands = partial(_of, stack, topics.COMMANDS, customer)
    stack.wait_until(
        lambda: {command["purpose"] for command in commands()} >= {"order", "marketing", "review"},
        "the commands of all emails",
    )
    unsubscription = records.engagement(
        "unsubscribed", customer_id=customer, send_id=None, scope="marketing", occurred_at=datetime.now(UTC)
    )
    stack.produce(topics.ENGAGEMENT, customer.encode(), unsubscription)
    stack.wait_until(lambda: len(_of(stack, topics.WITHDRAWALS, customer)) >= 2, "the emails are withdrawn")
    stack.inbox.start()
    stack.wait_until_idle()
    ended = {event["purpose"]: (event["outcome"], event["reason"]) for event in _of(stack, topics.EVENTS, customer)}
    assert ended == {
        "order": ("sent", "accepted"),
        "marketing": ("suppressed", "unsubscribed"),
        "review": ("suppressed", "unsubscribed"),
    }
    decisions = _of(stack, topics.DECISIONS, customer)
    assert {decision["rule"] for decision in decisions if decision["outcome"] == "skip"} >= {"withdrawn"}


def _of(stack: Stack, topic: str, customer_id: str) -> list[dict[str, Any]]:
    return [record for record in stack.records(topic) if record["customer_id"] == customer_id]


@pytest.mark.campaign
def test_stopped_under_load(stack: Stack) -> None:
    """After SIGTERM under load both processes exit with 0, and after the restart no email is lost or duplicated; heartbeats pass."""
    enough = threading.Event()
    shop = stack.run_shop(LONGEST_TRADE_S, 30.0, seed=13, until=enough)
    try:
        for process in ROUNDS * stack.processes:
            emails = stack.inbox.accepted + 40
            stack.wait_until(lambda emails=emails: stack.inbox.accepted >= emails, "40 emails more")
            assert process.stop(STOP_PATIENCE_S) == 0, f"{process.role}: see {process.log_file}"
            process.start()
            process.await_ready()
        emails = max(stack.inbox.accepted + 40, FEWEST_EMAILS)
        stack.wait_until(lambda: stack.inbox.accepted >= emails, f"{emails} emails")
    finally:
        enough.set()
        shop.join()
    stack.wait_until(partial(has_read_all, stack), "worker and mailer have read all records", 180.0)
    await_heartbeats(stack)
    stack.wait_until_idle()
    verdict = stack.judge()
    assert (verdict.problems, verdict.lost, verdict.duplicates, verdict.unknown) == ([], [], [], [])
    assert len(verdict.sends) >= FEWEST_EMAILS
    assert stack.records(topics.DEAD_LETTERS) == []


@pytest.mark.campaign
def test_a_stop_waits_for_a_slow_mail_server(stack: Stack) -> None:
    """A stopped mailer waits for the answers to the emails on the wire, begins no other, and exits with 0: none is doubled or in doubt."""
    stack.wait_until_idle()
    reached = threading.Event()

    def slow(envelope: Any) -> None:
        reached.set()
        time.sleep(SLOW_S)  # The slow server is simulated; the test itself does not wait for a time.

    stack.inbox.behaviour = slow
    try:
        stack.run_shop(1.0, 40.0, seed=14).join()
        assert reached.wait(PATIENCE_S)
        assert stack.mailer.stop(SLOW_STOP_PATIENCE_S) == 0, f"see {stack.mailer.log_file}"
    finally:
        stack.inbox.behaviour = None
    stack.mailer.start()
    stack.mailer.await_ready()
    stack.wait_until_idle()
    verdict = stack.judge()
    assert (verdict.problems, verdict.lost, verdict.duplicates, verdict.unknown) == ([], [], [], [])
    assert "sent_again" not in {event["reason"] for event in stack.records(topics.EVENTS)}


def test_a_worker_does_not_start_with_an_invalid_flow(shared_stack: Stack, tmp_path: Path) -> None:
    """An error in a flow ends `takk worker` before it starts a stage; the message has file, line, the error and a suggestion."""
    templates = shutil.copytree(PROJECT_ROOT / "templates", tmp_path / "templates")
    broken = templates / "flows" / "asking" / "review" / "flow.yaml"
    lines = broken.read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "customer.is_new" in text)
    lines[line - 1] = lines[line - 1].replace("customer.is_new", "customer.is_nw")
    broken.write_text("\n".join(lines), encoding="utf-8")
    done = shared_stack.run_takk("worker", TAKK_TEMPLATES_DIR=str(templates))
    assert done.returncode != 0
    assert f"{broken}:{line}:" in done.stderr
    assert "is_nw" in done.stderr
    assert "is_new" in done.stderr.partition("is_nw")[2]
    assert "Traceback" not in done.stderr


def test_a_worker_that_gives_rewards_needs_the_secret(shared_stack: Stack, tmp_path: Path) -> None:
    """Unsigned codes could be guessed: the worker does not start, and names the setting that is missing."""
    templates = shutil.copytree(PROJECT_ROOT / "templates", tmp_path / "templates")
    flow = templates / "flows" / "care" / "thank-you" / "flow.yaml"
    flow.write_text(flow.read_text(encoding="utf-8") + "  - reward: {name: welcome}\n", encoding="utf-8")
    env = {name: value for name, value in {**os.environ, **shared_stack.env}.items() if name != "TAKK_MAIL_SECRET"}
    done = subprocess.run(
        [sys.executable, "-m", "streams", "worker"],
        env={**env, "TAKK_WEB_PORT": "0", "TAKK_TEMPLATES_DIR": str(templates)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "set TAKK_REWARD_SECRET" in done.stderr


@pytest.mark.parametrize("command", [("topics", "create"), ("worker",), ("mailer",)])
def test_topics_with_other_partitions_are_refused(shared_stack: Stack, command: tuple[str, ...]) -> None:
    """With another number of partitions no process starts and no topic is created; the message names the topic and the fix."""
    admin = AdminClient(shared_stack.settings.kafka())
    before = set(admin.list_topics(timeout=10).topics)
    done = shared_stack.run_takk(*command, TAKK_PARTITIONS="7", TAKK_APP_ID="other")
    assert done.returncode != 0
    assert "topic orders has 4 partitions and must have 7: set TAKK_PARTITIONS=4" in done.stderr
    assert "Traceback" not in done.stderr
    assert set(admin.list_topics(timeout=10).topics) == before
