"""Gauges of timers and code pools: a worker reports only the partitions that it owns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams.agents.code_pools import pool_gauges
from streams.agents.scheduler import timer_gauges
from streams.core.offers.code_pool_records import Pool
from streams.observability import metrics


@dataclass
class Stage:
    """A stage, as far as gauges read it."""

    name: str


@dataclass
class Timers:
    """The stored timers of a partition."""

    pending: int


@dataclass
class Task:
    """A task, as far as gauges read it."""

    stage: Stage
    partition: int
    context: Any


def test_pool_gauges_follow_the_owner() -> None:
    """A worker that no longer owns a pool removes its gauges: a stale number would hide that the pool is empty."""

    def samples() -> tuple[float | None, float | None]:
        names = ("takk_pool_codes", "takk_pool_claims")
        codes, claims = (metrics.REGISTRY.get_sample_value(name, {"pool": "spring"}) for name in names)
        return codes, claims

    set_gauges, task = pool_gauges(), Task(Stage("pools"), 0, {"spring": Pool(2, 9, 4, 4)})
    other = Task(Stage("flows"), 0, None)
    set_gauges([task, other])
    assert samples() == (7, 0)
    task.context["spring"] = Pool(9, 9, 4, 6)
    set_gauges([task, other])
    assert samples() == (0, 2)
    set_gauges([other])
    assert samples() == (None, None)


def test_timer_gauges_follow_the_owner() -> None:
    """A worker that no longer owns a partition of the scheduler removes its number of stored timers."""

    def pending(partition: int) -> float | None:
        return metrics.REGISTRY.get_sample_value("takk_timers_pending", {"partition": str(partition)})

    set_gauges = timer_gauges()
    tasks = [Task(Stage("scheduler"), 7, Timers(3)), Task(Stage("scheduler"), 8, Timers(0))]
    set_gauges([*tasks, Task(Stage("flows"), 9, None)])
    assert (pending(7), pending(8), pending(9)) == (3, 0, None)
    set_gauges(tasks[1:])
    assert (pending(7), pending(8)) == (None, 0)
