"""Clocks that are wrong for a moment, through the flows agent and the scheduler, without a broker: no email is sent early."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from streams.agents import flows, scheduler
from streams.runtime.kafka.partitioner import partition_of
from streams.wire import topics
from streams.wire.decode.timers import timer_due
from tests.harness import records
from tests.harness.agents import CODEC, PARTITION, PARTITIONS, Agent, Output
from tests.harness.flow_texts import flow_text, ruleset_of
from tests.harness.records import AT_MS

DAY_MS = 86_400_000
YEARS_MS = 3_650 * DAY_MS
RULESET = ruleset_of(flow_text("trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a}}]"))
CUSTOMERS = [name for name in map("c{}".format, range(40)) if partition_of(name.encode(), PARTITIONS) == PARTITION]


class Worker:
    """The flows agent and the scheduler of one partition."""

    def __init__(self, folder: Path) -> None:
        self.flows = Agent(folder, lambda app, own: flows.register(app, own, RULESET))
        self.scheduler = Agent(folder, scheduler.register)

    def place_order(self, customer: str, at_ms: int) -> list[Output]:
        """Place an order, and return the timer of its wait."""
        value = CODEC.encode("order", records.order(customer_id=customer, order_id=f"o-{customer}"))
        outputs = self.flows.run([(topics.ORDERS, customer.encode(), value)], at_ms=at_ms)
        return [output for output in outputs if output[0] == topics.DELAYS]

    def wake(self, fired: Iterable[Output], at_ms: int) -> tuple[list[Output], int]:
        """Let the flows agent read fired timers. Return the timers that it schedules, and the number of emails."""
        outputs = self.flows.run(fired, at_ms=at_ms)
        delays = [output for output in outputs if output[0] == topics.DELAYS]
        return delays, sum(topic == topics.COMMANDS for topic, _, _ in outputs)

    def restart_scheduler(self) -> None:
        """Open the scheduler's timers again, as after a restart."""
        self.scheduler.task.open()


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    """A worker that has processed nothing."""
    return Worker(tmp_path)


def test_the_scheduler_is_ten_years_ahead_for_one_sweep(worker: Worker) -> None:
    """The timers that it fires are scheduled again; earlier and later waits, also after a restart, end when they are due."""
    first, second, third = CUSTOMERS[:3]
    worker.scheduler.run(worker.place_order(first, AT_MS), at_ms=AT_MS)
    fired = worker.scheduler.run(at_ms=AT_MS + YEARS_MS)
    assert len(fired) == 1
    again, emails = worker.wake(fired, AT_MS + 10)
    assert (len(again), emails) == (1, 0)
    assert timer_due(again[0][2] or b"") == timer_due(fired[0][2] or b"")
    for timers in (again, worker.place_order(second, AT_MS + 20)):
        assert worker.scheduler.run(timers, at_ms=AT_MS + 30) == []
    worker.restart_scheduler()
    assert worker.scheduler.run(worker.place_order(third, AT_MS + 40), at_ms=AT_MS + 40) == []
    assert not worker.scheduler.is_due
    due = worker.scheduler.run(at_ms=AT_MS + 2 * DAY_MS + 40)
    assert len(due) == 3
    assert worker.wake(due, AT_MS + 2 * DAY_MS + 50) == ([], 3)


def test_flows_behind_the_scheduler(worker: Worker) -> None:
    """A worker whose clock is a minute behind that of the scheduler acts, instead of sending the timer back and forth."""
    fired = worker.scheduler.run(worker.place_order(CUSTOMERS[0], AT_MS), at_ms=AT_MS + 2 * DAY_MS)
    assert worker.wake(fired, AT_MS + 2 * DAY_MS - 60_000) == ([], 1)
