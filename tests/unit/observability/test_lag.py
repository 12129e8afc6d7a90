"""Lag and ownership gauges: lag grows while a partition is stuck, and series are removed with their partition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from streams.observability import metrics
from streams.observability.lag import LagMonitor

STAGE = "monitored"


@dataclass
class Stage:
    """A stage, as far as the monitor reads it."""

    name: str = STAGE


class Store:
    """A store with a fixed size."""

    def size(self) -> int:
        return 7


@dataclass
class Task:
    """A task, as far as the monitor reads it."""

    partition: int
    committed_records: int = 0
    stage: Stage = field(default_factory=Stage)
    store: Store = field(default_factory=Store)


class TaskManager:
    """A fake task manager and fetcher; tests set its tasks and records."""

    def __init__(self, *partitions: int) -> None:
        self.is_ready = True
        self.stages: dict[str, Any] = {STAGE: None}
        self.tasks = {number: Task(number) for number in partitions}
        self.fetcher = self
        self.unread: dict[int, int] = dict.fromkeys(partitions, 0)
        self.records_in_flight: dict[int, tuple[int, int]] = {}

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks.values())

    def lag(self) -> Iterator[tuple[str, int, int]]:
        return (("topic", number, records) for number, records in self.unread.items())

    def stage_of(self, topic: str) -> str:
        return STAGE

    def in_flight(self) -> Iterator[tuple[str, int, int, int]]:
        return ((STAGE, number, count, oldest_ms) for number, (count, oldest_ms) in self.records_in_flight.items())


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def task_manager() -> TaskManager:
    return TaskManager(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def monitor(task_manager: TaskManager, clock: Clock) -> LagMonitor:
    return LagMonitor(task_manager, clock=clock)


def value(name: str, partition: int = 0) -> float | None:
    return metrics.REGISTRY.get_sample_value(name, {"stage": STAGE, "partition": str(partition)})


def lag() -> tuple[float | None, float | None]:
    """Records and seconds of partition 0."""
    return value("takk_lag_records"), value("takk_lag_seconds")


async def test_an_idle_partition_has_no_lag(monitor: LagMonitor, clock: Clock) -> None:
    """A partition without records has no lag, however much time passes."""
    await monitor.sample()
    clock.now += 3600
    await monitor.sample()
    assert lag() == (0, 0)
    assert value("takk_last_progress_timestamp_seconds") == clock.now


async def test_the_lag_of_a_stuck_batch_grows(monitor: LagMonitor, task_manager: TaskManager, clock: Clock) -> None:
    """The lag grows while a batch does not commit, and is 0 after its commit."""
    task_manager.records_in_flight[0] = (3, int((clock.now - 5) * 1000))
    await monitor.sample()
    started = clock.now
    assert lag() == (3, 5)
    clock.now += 60
    await monitor.sample()
    assert lag() == (3, 65)
    assert value("takk_last_progress_timestamp_seconds") == started
    del task_manager.records_in_flight[0]
    task_manager.tasks[0].committed_records = 3
    await monitor.sample()
    assert lag() == (0, 0)


async def test_the_lag_of_a_stuck_reader_grows(monitor: LagMonitor, task_manager: TaskManager, clock: Clock) -> None:
    """The lag also grows while records cannot be read, even if more arrive."""
    await monitor.sample()
    for waiting in (10, 20, 30):
        task_manager.unread[0] = waiting
        clock.now += 30
        await monitor.sample()
    assert lag() == (30, 90)
    task_manager.tasks[0].committed_records = 5
    await monitor.sample()
    assert lag() == (30, 0)


async def test_a_timestamp_in_the_future(monitor: LagMonitor, task_manager: TaskManager, clock: Clock) -> None:
    """A record with a timestamp in the future does not hide that its partition is stuck."""
    task_manager.records_in_flight[0] = (1, int((clock.now + 86_400) * 1000))
    await monitor.sample()
    assert lag() == (1, 0)
    clock.now += 40
    await monitor.sample()
    assert lag() == (1, 40)


async def test_a_revoked_partition_has_no_series(task_manager: TaskManager, monitor: LagMonitor) -> None:
    """The series of a partition are removed once another worker owns it: a stale number would raise an alert."""
    task_manager.tasks[1], task_manager.unread[1] = Task(1), 4
    await monitor.sample()
    assert value("takk_lag_records", 1) == 4
    assert metrics.REGISTRY.get_sample_value("takk_assigned_partitions", {"stage": STAGE}) == 2
    assert metrics.REGISTRY.get_sample_value("takk_state_bytes", {"stage": STAGE}) == 14
    del task_manager.tasks[1], task_manager.unread[1]
    await monitor.sample()
    names = ("takk_lag_records", "takk_lag_seconds", "takk_last_progress_timestamp_seconds")
    assert [value(name, 1) for name in names] == [None] * 3
    assert metrics.REGISTRY.get_sample_value("takk_assigned_partitions", {"stage": STAGE}) == 1


async def test_only_seconds_grow_during_a_rebalance(
    task_manager: TaskManager, monitor: LagMonitor, clock: Clock
) -> None:
    """During a rebalance the fetcher is not read. A rebalance that does not end is visible as growing seconds of lag."""
    await monitor.sample()
    task_manager.is_ready = False
    task_manager.unread[0] = 9
    started = clock.now
    clock.now += 50
    await monitor.sample()
    assert lag() == (0, 50)
    assert value("takk_last_progress_timestamp_seconds") == started
    task_manager.is_ready, task_manager.unread[0] = True, 0
    await monitor.sample()
    assert lag() == (0, 0)


async def test_a_stage_has_a_time_of_progress_from_the_start(clock: Clock) -> None:
    """It is the start of the process until partitions are assigned, then that of the partition that is furthest behind."""
    tasks = TaskManager()
    tasks.is_ready = False
    monitor, started = LagMonitor(tasks, clock=clock), clock.now

    def progress() -> float | None:
        return metrics.REGISTRY.get_sample_value("takk_stage_progress_timestamp_seconds", {"stage": STAGE})

    clock.now += 60
    await monitor.sample()
    assert progress() == started
    tasks.is_ready = True
    await monitor.sample()
    assert progress() == clock.now
    for number in range(2):
        tasks.tasks[number], tasks.unread[number] = Task(number), number
    await monitor.sample()
    both = clock.now
    clock.now += 60
    await monitor.sample()
    assert progress() == both
