"""Pool codes with a real broker and a worker that is killed repeatedly: each customer gets one code, and no code is used twice."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.runtime.failpoints import VARIABLE
from streams.tools.local.inbox.server import Inbox
from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.wire import topics
from tests.harness import records
from tests.harness.stack import Stack, wait_until

#: Where the worker is killed (a failpoint at its third commit, or "" for after some codes), and whether its disk is deleted.
KILLS = (("pools.produced", False), ("", True), ("pools.committed", False))
MAX_RUNS = 8
CUSTOMERS = 200  # per run of the worker
FEWEST_CODES = 60  # granted before a kill
FLOW = """\
flow: spring
version: 1
status: live
purpose: service
trigger: {on: order.placed, once_per: customer}
exit_on: [order.refunded]
steps:
  - reward: {name: spring-10, pool: spring-10, within: 30d}
  - split:
      - when: reward.is_given
        steps: [{emit: got-a-code}]
"""


@contextmanager
def pool_stack(tmp_path: Path, workers: int) -> Iterator[Stack]:
    """A stack whose only flow takes codes from a pool. It has small batches, no mailer, and no secret to sign codes with."""
    folder = tmp_path / "templates" / "flows" / "selling" / "spring"
    folder.mkdir(parents=True)
    (folder / "flow.yaml").write_text(FLOW, encoding="utf-8")
    env = {"TAKK_TEMPLATES_DIR": str(tmp_path / "templates"), "TAKK_BATCH_MAX_RECORDS": "40", "TAKK_MAIL_SECRET": ""}
    with EmbeddedKafka(tmp_path / "kafka") as kafka, Inbox() as inbox:
        stack = Stack(tmp_path, kafka.bootstrap, inbox, day_s=3600.0, env=env, workers=workers)
        try:
            yield stack
        finally:
            stack.stop()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack with one worker."""
    with pool_stack(tmp_path, 1) as stack:
        yield stack


def publish_input(stack: Stack, run: int) -> None:
    """Publish an order for each customer and fewer codes than customers. Some codes are published twice, three are special."""
    now = datetime.now(UTC)
    for number in range(CUSTOMERS):
        customer = f"c{run}-{number}"
        order = records.order(order_id=f"o-{customer}", customer_id=customer, placed_at=now, occurred_at=now)
        stack.enqueue(topics.ORDERS, customer.encode(), order)
    for number in range(CUSTOMERS - 20):
        code = records.discount_code(code=f"CODE-{run}-{number}", expires_at=now + timedelta(days=9))
        for _ in range(1 + (number % 10 == 0)):
            stack.enqueue(topics.CODES, b"spring-10", code)
    # A code with a wrong key, a code of a pool that no flow uses, and an invalid code.
    stack.enqueue(topics.CODES, b"elsewhere", records.discount_code(code=f"CODE-{run}-moved", expires_at=None))
    stack.enqueue(topics.CODES, b"nobodys", records.discount_code(code="N", pool="nobodys", expires_at=now))
    stack.produce(topics.CODES, b"spring-10", records.discount_code(code="two words"))


@pytest.mark.campaign
def test_each_customer_gets_one_code_despite_kills(stack: Stack) -> None:
    """Each customer has one claim, one grant and one reward, no code is used twice, and codes from before the first start count."""
    worker, runs = stack.worker, 0
    for place, is_wiped in KILLS:
        was_interrupted = False
        while not was_interrupted:
            assert runs < MAX_RUNS, "every kill came after the last code"
            publish_input(stack, runs)
            runs += 1
            worker.start(**({VARIABLE: f"{place}@3"} if place else {}))
            if not place:
                stack.wait_until(
                    lambda: worker.metrics().get("takk_codes_granted_total", 0) >= FEWEST_CODES, "codes are granted"
                )
                worker.kill()
            wait_until(lambda: worker.exit_code is not None, f"{place} is reached")
            assert worker.exit_code == -signal.SIGKILL, f"see {worker.log_file}"
            if is_wiped:
                shutil.rmtree(stack.state_dir(0))
            granted = len(stack.records(topics.GRANTS))
            # On a busy machine the kill may come after the last code. Then the worker gets one more run.
            was_interrupted = bool(place) or 0 < granted < runs * (CUSTOMERS - 20)
    worker.start()
    worker.await_ready()
    customers = CUSTOMERS * runs
    stocked = runs * (CUSTOMERS - 20 + 1)

    def gauge(name: str) -> float | None:
        return worker.series().get(f'{name}{{pool="spring-10"}}')

    stack.wait_until(
        lambda: gauge("takk_pool_claims") == customers - stocked, "all codes are granted and the other claims wait"
    )
    customer_ids = {f"c{run}-{number}" for run in range(runs) for number in range(CUSTOMERS)}
    # A granted code that has not reached its customer yet is no longer in stock.
    stack.wait_until(lambda: len(stack.records(topics.REWARDS)) == stocked, "every code has reached its customer")
    waiting = min(customer_ids - {reward["customer_id"] for reward in stack.records(topics.REWARDS)})
    now = datetime.now(UTC)
    refund = records.order(
        kind="refunded", order_id=f"o-{waiting}", customer_id=waiting, placed_at=now, occurred_at=now
    )
    stack.produce(topics.ORDERS, waiting.encode(), refund)
    stack.wait_until(lambda: stack.records(topics.CLAIM_WITHDRAWALS) != [], "the exit withdraws the claim")
    for number in range(customers - stocked + 5):
        stack.enqueue(topics.CODES, b"spring-10", records.discount_code(code=f"MORE-{number}", expires_at=None))
    stack.produce(topics.CODES, b"spring-10", records.discount_code(code="LAST", expires_at=None))
    stack.wait_until(lambda: gauge("takk_pool_codes") == 7, "the unclaimed codes are in stock")
    stack.wait_until_idle(1.0)
    assert gauge("takk_pool_claims") == 0
    labels = {name for name in worker.series() if 'pool="' in name}
    assert not [name for name in labels if 'pool="spring-10"' not in name and 'pool="other"' not in name]
    verdict = stack.judge()
    assert verdict.problems == []
    rewards = stack.records(topics.REWARDS)
    assert Counter(reward["customer_id"] for reward in rewards) == dict.fromkeys(customer_ids - {waiting}, 1)
    assert max(Counter(reward["code"] for reward in rewards).values()) == 1
    grants = {grant["reward_id"]: grant["code"] for grant in stack.records(topics.GRANTS)}
    assert {reward["reward_id"]: reward["code"] for reward in rewards} == grants
    assert len(stack.records(topics.SIGNALS)) == customers - 1
    assert {letter["reason"] for letter in stack.records(topics.DEAD_LETTERS)} == {"bad_code"}
    log = worker.log_file.read_text(errors="replace")
    assert not any(prefix in log for prefix in ("CODE-", "MORE-"))


@pytest.mark.campaign
@pytest.mark.parametrize("workers", [1, 2])
def test_a_flow_with_codes_is_added_later(tmp_path: Path, workers: int) -> None:
    """When static workers restart one after the other with an additional stage, the group assigns its partitions too."""
    with pool_stack(tmp_path, workers) as stack:
        flow = stack.folder / "templates" / "flows" / "selling" / "spring" / "flow.yaml"
        flow.write_text(FLOW.replace(", pool: spring-10, within: 30d", ""), encoding="utf-8")
        for worker in stack.workers:
            worker.start(TAKK_MAIL_SECRET="5d6ad4a0c4b1f2e79a3c8d5e")
        for worker in stack.workers:
            worker.await_ready()
        stack.wait_until_idle(1.0)
        flow.write_text(FLOW, encoding="utf-8")
        for worker in stack.workers:
            worker.stop()
            worker.start()
            worker.await_ready()
        now = datetime.now(UTC)
        for number in range(CUSTOMERS):
            customer = f"c{number}"
            order = records.order(order_id=f"o{number}", customer_id=customer, placed_at=now, occurred_at=now)
            stack.enqueue(topics.ORDERS, customer.encode(), order)
            stack.produce(topics.CODES, b"spring-10", records.discount_code(code=f"CODE-{number}", expires_at=None))
        stack.wait_until(lambda: len(stack.records(topics.REWARDS)) == CUSTOMERS, "each customer gets a code")
