"""Codes of a pool on a real broker, while the worker is killed again and again: each customer gets one code, each code one customer."""

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

#: Where a life of the worker ends (at the third commit that comes there; "": when it has given some codes), and whether its disk goes too.
DEATHS = (("pools.produced", False), ("", True), ("pools.committed", False))
MOST_LIVES = 8
CUSTOMERS = 200  # of each life
ENOUGH = 60  # codes given in a life
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
    """A stack whose only flow takes codes from a pool: small batches, so that there are many, no mailer, and no secret to sign codes with."""
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


def come(stack: Stack, life: int) -> None:
    """Customers buy, and the shop tells its codes: fewer than there are customers at first, and some of them twice."""
    now = datetime.now(UTC)
    for number in range(CUSTOMERS):
        customer = f"c{life}-{number}"
        order = records.order(order_id=f"o-{customer}", customer_id=customer, placed_at=now, occurred_at=now)
        stack.enqueue(topics.ORDERS, customer.encode(), order)
    for number in range(CUSTOMERS - 20):
        code = records.discount_code(code=f"CODE-{life}-{number}", expires_at=now + timedelta(days=9))
        for _ in range(1 + (number % 10 == 0)):
            stack.enqueue(topics.CODES, b"spring-10", code)
    # Under another key than its pool, of a pool that no flow names, and none that anybody could type in.
    stack.enqueue(topics.CODES, b"elsewhere", records.discount_code(code=f"CODE-{life}-moved", expires_at=None))
    stack.enqueue(topics.CODES, b"nobodys", records.discount_code(code="N", pool="nobodys", expires_at=now))
    stack.produce(topics.CODES, b"spring-10", records.discount_code(code="two words"))


def test_however_often_it_is_killed_each_gets_one_code(stack: Stack) -> None:
    """Claims, grants and rewards: one for each customer, no code twice; what came before the stage ever started is given too."""
    worker, lives = stack.worker, 0
    for place, is_wiped in DEATHS:
        is_in_the_middle = False
        while not is_in_the_middle:
            assert lives < MOST_LIVES, "it never died in the middle"
            come(stack, lives)
            lives += 1
            worker.start(**({VARIABLE: f"{place}@3"} if place else {}))
            if not place:
                wait_until(lambda: worker.metrics().get("takk_codes_granted_total", 0) >= ENOUGH, "codes are given")
                worker.kill()
            wait_until(lambda: worker.exit_code is not None, f"{place} is reached")
            assert worker.exit_code == -signal.SIGKILL, f"see {worker.log_file}"
            if is_wiped:
                shutil.rmtree(stack.state_dir(0))
            given = len(stack.records(topics.GRANTS))
            # A busy machine may kill it only after the last code. Then it gets one more life.
            is_in_the_middle = bool(place) or 0 < given < lives * (CUSTOMERS - 20)
    worker.start()
    worker.await_ready()
    customers = CUSTOMERS * lives
    stocked = lives * (CUSTOMERS - 20 + 1)

    def gauge(name: str) -> float | None:
        return worker.series().get(f'{name}{{pool="spring-10"}}')

    wait_until(lambda: gauge("takk_pool_claims") == customers - stocked, "all codes are given and the others wait")
    bought = {f"c{life}-{number}" for life in range(lives) for number in range(CUSTOMERS)}
    # A code on its way to its customer is no longer in stock.
    wait_until(lambda: len(stack.records(topics.REWARDS)) == stocked, "every code has reached its customer")
    left = min(bought - {one["customer_id"] for one in stack.records(topics.REWARDS)})
    now = datetime.now(UTC)
    refund = records.order(kind="refunded", order_id=f"o-{left}", customer_id=left, placed_at=now, occurred_at=now)
    stack.produce(topics.ORDERS, left.encode(), refund)
    wait_until(lambda: stack.records(topics.CLAIM_WITHDRAWALS) != [], "who leaves gives the claim back")
    for number in range(customers - stocked + 5):
        stack.enqueue(topics.CODES, b"spring-10", records.discount_code(code=f"MORE-{number}", expires_at=None))
    stack.produce(topics.CODES, b"spring-10", records.discount_code(code="LAST", expires_at=None))
    wait_until(lambda: gauge("takk_pool_codes") == 7, "the codes that nobody claimed are in stock")
    stack.wait_until_idle(1.0)
    assert gauge("takk_pool_claims") == 0
    labels = {name for name in worker.series() if 'pool="' in name}
    assert not [name for name in labels if 'pool="spring-10"' not in name and 'pool="other"' not in name]
    verdict = stack.judge()
    assert verdict.problems == []
    rewards = stack.records(topics.REWARDS)
    assert Counter(one["customer_id"] for one in rewards) == dict.fromkeys(bought - {left}, 1)
    assert max(Counter(one["code"] for one in rewards).values()) == 1
    grants = {one["reward_id"]: one["code"] for one in stack.records(topics.GRANTS)}
    assert {one["reward_id"]: one["code"] for one in rewards} == grants
    assert len(stack.records(topics.SIGNALS)) == customers - 1
    assert {one["reason"] for one in stack.records(topics.DEAD_LETTERS)} == {"bad_code"}
    log = worker.log_file.read_text(errors="replace")
    assert not any(word in log for word in ("CODE-", "MORE-"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_flow_that_takes_codes_is_added_later(tmp_path: Path, workers: int) -> None:
    """Workers come back under their names, one after the other, with a stage more than they left with: the group shares that out too."""
    with pool_stack(tmp_path, workers) as stack:
        flow = stack.folder / "templates" / "flows" / "selling" / "spring" / "flow.yaml"
        flow.write_text(FLOW.replace(", pool: spring-10, within: 30d", ""), encoding="utf-8")
        for worker in stack.workers:
            worker.start(TAKK_MAIL_SECRET="x" * 40)
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
        wait_until(lambda: len(stack.records(topics.REWARDS)) == CUSTOMERS, "each gets a code")
