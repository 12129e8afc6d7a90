"""What fails around the processes: the mail server, the processes themselves, and what they are given to start with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
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
from tests.harness.stack import Stack, open_stack, wait_until

STOP_PATIENCE_S = 15.0
#: How often each process is stopped under load, and how long orders may come meanwhile.
ROUNDS = 2
LONGEST_TRADE_S = 180.0
FEWEST_EMAILS = 301


@pytest.fixture(scope="module")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for this module whose mails do not expire: a day lasts a second, and an outage longer than the two days they have."""
    folder = tmp_path_factory.mktemp("stack")
    templates = shutil.copytree(PROJECT_ROOT / "templates", folder / "templates")
    (
        templates / "rules.yaml"
    ).unlink()  # mails that never expire would be put off for ever once the shop has closed and parcels are late
    for file in templates.glob("flows/*/*/flow.yaml"):
        days = file.read_text(encoding="utf-8")
        for short in ("2d", "3d", "5d", "7d"):
            days = days.replace(f"expires: {short}", "expires: 90d")
        file.write_text(days, encoding="utf-8")
    with open_stack(folder, env={"TAKK_TEMPLATES_DIR": str(templates)}) as stack:
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """The stack with both its processes running, whatever the test before did to them."""
    for process in shared_stack.processes:
        if not process.is_alive:
            process.start()
            process.await_ready()
    return shared_stack


def takk(stack: Stack, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command `takk` on the stack's cluster, which is expected to end."""
    return subprocess.run(
        [sys.executable, "-m", "streams", *arguments],
        env={**os.environ, **stack.env, "TAKK_WEB_PORT": "0", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def has_read_all(stack: Stack) -> bool:
    """Whether no process is behind: a partition that stands still is quiet, but not at rest."""
    return all(process.metrics().get("takk_lag_records") == 0 for process in stack.processes)


def test_the_mail_server_is_down_while_orders_come(stack: Stack) -> None:
    """The mailer waits, shows it in its metric, and continues automatically: each email arrives once, unless a withdrawal names it."""
    stack.run_shop(1.0, 20.0, seed=11).join()
    wait_until(lambda: stack.inbox.accepted > 0, "an email before the outage, so that there is a warm connection")
    # No timer may put an email on its way at the moment when the server goes.
    stack.worker.stop()
    stack.wait_until_idle()
    before = stack.inbox.accepted
    stack.inbox.stop()
    stack.worker.start()
    shop = stack.run_shop(4.0, 30.0, seed=12)
    wait_until(lambda: stack.mailer.metrics().get("takk_smtp_paused") == 1, "takk_smtp_paused is 1")
    shop.join()
    assert stack.inbox.accepted == before
    assert stack.mailer.is_alive
    stack.inbox.start()
    wait_until(lambda: stack.mailer.metrics().get("takk_smtp_paused") == 0, "takk_smtp_paused is 0 again")
    stack.wait_until_idle()
    assert stack.mailer.is_alive
    verdict = stack.judge()
    assert (verdict.problems, verdict.lost, verdict.duplicates, verdict.unknown) == ([], [], [], [])
    assert len(verdict.sends) > before + 50
    ended = {one["send_id"]: one for one in stack.records(topics.EVENTS)}
    assert ended.keys() == verdict.sends
    # An order may be cancelled while its email waits. Then the email is withdrawn, and the oracle checks each withdrawal.
    # A new shop has not always a product to recommend.
    withdrawn = {(one["send_id"], one["rule"]) for one in stack.records(topics.WITHDRAWALS)}
    without = {
        send_id
        for send_id, one in ended.items()
        if one["outcome"] == "suppressed"
        and (one["reason"] == "too_few_products" or (send_id, one["reason"]) in withdrawn)
    }
    assert {one["outcome"] for send_id, one in ended.items() if send_id not in without} == {"sent"}
    assert Counter(mail.send_id for mail in stack.inbox.mails()) == Counter(verdict.sends - without)


def test_who_unsubscribes_while_mails_wait_gets_no_more(stack: Stack) -> None:
    """Mails that were ordered before lie in the mailer's queue: the receipt still goes, the rest is held back, and a decision says why."""
    customer, now = "c-waits", datetime.now(UTC)
    stack.wait_until_idle()
    stack.inbox.stop()
    told = {"customer_id": customer, "order_id": "o-waits", "occurred_at": now}
    stack.produce(topics.ORDERS, customer.encode(), records.order(**told, placed_at=now))
    stack.produce(topics.SHIPMENTS, customer.encode(), records.shipment(**told, status="delivered"))
    ordered = partial(_of, stack, topics.COMMANDS, customer)
    wait_until(
        lambda: {one["purpose"] for one in ordered()} >= {"order", "marketing", "review"}, "all mails are ordered"
    )
    bye = records.engagement(
        "unsubscribed", customer_id=customer, send_id=None, scope="marketing", occurred_at=datetime.now(UTC)
    )
    stack.produce(topics.ENGAGEMENT, customer.encode(), bye)
    wait_until(lambda: len(_of(stack, topics.WITHDRAWALS, customer)) >= 2, "the mails are withdrawn")
    stack.inbox.start()
    stack.wait_until_idle()
    ended = {one["purpose"]: (one["outcome"], one["reason"]) for one in _of(stack, topics.EVENTS, customer)}
    assert ended == {
        "order": ("sent", "accepted"),
        "marketing": ("suppressed", "unsubscribed"),
        "review": ("suppressed", "unsubscribed"),
    }
    assert {one["rule"] for one in _of(stack, topics.DECISIONS, customer) if one["outcome"] == "skip"} >= {"withdrawn"}


def _of(stack: Stack, topic: str, customer_id: str) -> list[dict[str, Any]]:
    return [one for one in stack.records(topic) if one["customer_id"] == customer_id]


def test_stopped_under_load(stack: Stack) -> None:
    """SIGTERM under load: both end in good order with code 0, and after the restart nothing is lost and nothing came twice."""
    enough = threading.Event()
    shop = stack.run_shop(LONGEST_TRADE_S, 60.0, seed=13, until=enough)
    try:
        for process in ROUNDS * stack.processes:
            emails = stack.inbox.accepted + 40
            wait_until(lambda emails=emails: stack.inbox.accepted >= emails, "40 emails more")
            assert process.stop(STOP_PATIENCE_S) == 0, f"{process.role}: see {process.log_file}"
            process.start()
            process.await_ready()
        emails = max(stack.inbox.accepted + 40, FEWEST_EMAILS)
        wait_until(lambda: stack.inbox.accepted >= emails, f"{emails} emails")
    finally:
        enough.set()
        shop.join()
    wait_until(partial(has_read_all, stack), "worker and mailer have read all there is", 180.0)
    stack.wait_until_idle()
    verdict = stack.judge()
    assert (verdict.problems, verdict.lost, verdict.duplicates, verdict.unknown) == ([], [], [], [])
    assert len(verdict.sends) >= FEWEST_EMAILS


def test_a_worker_does_not_start_with_a_mistake_in_a_flow(shared_stack: Stack, tmp_path: Path) -> None:
    """A mistake in a flow ends `takk worker` before it starts anything, with file, line, what is wrong and what would be right."""
    templates = shutil.copytree(PROJECT_ROOT / "templates", tmp_path / "templates")
    broken = templates / "flows" / "asking" / "review" / "flow.yaml"
    lines = broken.read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "customer.orders" in text)
    lines[line - 1] = lines[line - 1].replace("customer.orders", "customer.ordrs")
    broken.write_text("\n".join(lines), encoding="utf-8")
    done = takk(shared_stack, "worker", TAKK_TEMPLATES_DIR=str(templates))
    assert done.returncode != 0
    assert f"{broken}:{line}:" in done.stderr
    assert "ordrs" in done.stderr
    assert "orders" in done.stderr.partition("ordrs")[2]
    assert "Traceback" not in done.stderr


def test_a_worker_that_gives_rewards_needs_the_secret(shared_stack: Stack, tmp_path: Path) -> None:
    """Codes that nothing signs could be guessed: it does not start, and says what to set."""
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
    assert "TAKK_MAIL_SECRET" in done.stderr


@pytest.mark.parametrize("command", [("topics", "create"), ("worker",), ("mailer",)])
def test_topics_that_are_not_what_they_have_to_be_are_refused(shared_stack: Stack, command: tuple[str, ...]) -> None:
    """With another number of partitions nothing starts and nothing is made; the message names the topic and the way out."""
    admin = AdminClient(shared_stack.settings.kafka())
    before = set(admin.list_topics(timeout=10).topics)
    done = takk(shared_stack, *command, TAKK_PARTITIONS="7", TAKK_APP_ID="other")
    assert done.returncode != 0
    assert "topic orders has 4 partitions and must have 7: set TAKK_PARTITIONS=4" in done.stderr
    assert "Traceback" not in done.stderr
    assert set(admin.list_topics(timeout=10).topics) == before
