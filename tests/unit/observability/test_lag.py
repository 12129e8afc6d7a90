"""What a worker says of itself: lag that grows while a partition stands still, and series that go with their partition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from streams.observability import metrics
from streams.observability.lag import LagMonitor

STAGE = "watched"


@dataclass
class Named:
    """A stage, as far as a lane tells of it."""

    name: str = STAGE


class Disk:
    """A store of a known size."""

    def size(self) -> int:
        return 7


@dataclass
class Task:
    """A lane, as far as a watch looks at it."""

    partition: int
    committed_records: int = 0
    stage: Named = field(default_factory=Named)
    store: Disk = field(default_factory=Disk)


class TaskManager:
    """The lanes of a worker whose partitions a test moves by hand."""

    def __init__(self, *partitions: int) -> None:
        self.is_ready = True
        self.stages: dict[str, Any] = {STAGE: None}
        self.tasks = {number: Task(number) for number in partitions}
        self.fetcher = self
        self.unread: dict[int, int] = dict.fromkeys(partitions, 0)
        self.held: dict[int, tuple[int, int]] = {}

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks.values())

    def lag(self) -> Iterator[tuple[str, int, int]]:
        return (("topic", number, records) for number, records in self.unread.items())

    def stage_of(self, topic: str) -> str:
        return STAGE

    def in_flight(self) -> Iterator[tuple[str, int, int, int]]:
        return ((STAGE, number, count, oldest_ms) for number, (count, oldest_ms) in self.held.items())


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


async def test_at_rest(monitor: LagMonitor, clock: Clock) -> None:
    """A partition with nothing to do has no lag, and goes on being well as time passes."""
    await monitor.sample()
    clock.now += 3600
    await monitor.sample()
    assert lag() == (0, 0)
    assert value("takk_last_progress_timestamp_seconds") == clock.now


async def test_stuck_batch_grows_older(monitor: LagMonitor, task_manager: TaskManager, clock: Clock) -> None:
    """A batch that does not commit makes the lag grow, though no batch ends; when it has, the lag is 0."""
    task_manager.held[0] = (3, int((clock.now - 5) * 1000))
    await monitor.sample()
    began = clock.now
    assert lag() == (3, 5)
    clock.now += 60
    await monitor.sample()
    assert lag() == (3, 65)
    assert value("takk_last_progress_timestamp_seconds") == began
    del task_manager.held[0]
    task_manager.tasks[0].committed_records = 3
    await monitor.sample()
    assert lag() == (0, 0)


async def test_stuck_reader_grows_older(monitor: LagMonitor, task_manager: TaskManager, clock: Clock) -> None:
    """Records that cannot even be read make the lag grow too, also while more of them arrive."""
    await monitor.sample()
    for waiting in (10, 20, 30):
        task_manager.unread[0] = waiting
        clock.now += 30
        await monitor.sample()
    assert lag() == (30, 90)
    task_manager.tasks[0].committed_records = 5
    await monitor.sample()
    assert lag() == (30, 0)


async def test_record_from_the_future(monitor: LagMonitor, task_manager: TaskManager, clock: Clock) -> None:
    """A record that claims a time to come hides no standstill."""
    task_manager.held[0] = (1, int((clock.now + 86_400) * 1000))
    await monitor.sample()
    assert lag() == (1, 0)
    clock.now += 40
    await monitor.sample()
    assert lag() == (1, 40)


async def test_given_back_partition_leaves_no_series(task_manager: TaskManager, monitor: LagMonitor) -> None:
    """What another worker owns is not told here: a number that stands still would raise an alarm."""
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


async def test_nothing_is_touched_while_partitions_change_hands(task_manager: TaskManager, monitor: LagMonitor) -> None:
    """In a rebalance the reader is not asked and the gauges stay."""
    await monitor.sample()
    task_manager.is_ready = False
    task_manager.unread[0] = 9
    await monitor.sample()
    assert value("takk_lag_records") == 0
