"""What a worker says of itself while it works: how far it is behind, what it owns, and how long a restore still takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from streams.observability import metrics

#: Stage and partition.
Place = tuple[str, int]


class FetcherLag(Protocol):
    """What a watch wants to know of the fetcher."""

    def lag(self) -> Iterator[tuple[str, int, int]]: ...

    def in_flight(self) -> Iterator[tuple[str, int, int, int]]: ...


class Watched(Protocol):
    """What a watch wants to know of the lanes."""

    is_ready: bool
    stages: dict[str, Any]

    def __iter__(self) -> Iterator[Any]: ...

    def stage_of(self, topic: str) -> str: ...

    @property
    def fetcher(self) -> FetcherLag: ...


class Watch:
    """Sets the gauges of what a worker owns and how far behind it is.

    A partition's lag in seconds is the age of the oldest record that was read and is not committed. Where nothing could be read although
    records wait, their age is not known: then it is the time since the partition last moved. Either grows while a partition is stuck.

    Args:
        lanes: the lanes of the worker.
        clock: wall clock in seconds since 1970.
    """

    def __init__(self, task_manager: Watched, clock: Callable[[], float] = time.time) -> None:
        self._task_manager = task_manager
        self._clock = clock
        #: How many records a partition had committed when it was last seen to move, and when that was.
        self._moved: dict[Place, tuple[int, float]] = {}
        #: The pools whose numbers were told.
        self._pools: set[str] = set()

    async def look(self) -> None:
        """Look once. While the partitions change hands nothing is touched."""
        if not self._task_manager.is_ready:
            return
        unread = await asyncio.to_thread(self._unread)
        if not self._task_manager.is_ready:
            return
        held = {
            (stage, partition): (count, ms) for stage, partition, count, ms in self._task_manager.fetcher.in_flight()
        }
        now = self._clock()
        owned = {(task.stage.name, task.partition): task for task in self._task_manager}
        for place, task in owned.items():
            count, oldest_ms = held.get(place, (0, 0))
            self._set_lag(place, task.taken, unread.get(place, 0), count, oldest_ms, now)
        for place in set(self._moved) - set(owned):
            self._forget(place)
        self._set_possessions(owned)

    def _unread(self) -> dict[Place, int]:
        unread: dict[Place, int] = {}
        for topic, partition, records in self._task_manager.fetcher.lag():
            place = (self._task_manager.stage_of(topic), partition)
            unread[place] = unread.get(place, 0) + records
        return unread

    def _set_lag(self, place: Place, taken: int, unread: int, held: int, oldest_ms: int, now: float) -> None:
        before = self._moved.get(place)
        waiting = unread + held
        if before is None or before[0] != taken or not waiting:
            self._moved[place] = (taken, now)
            metrics.LAST_PROGRESS.labels(*place).set(now)
        seconds = 0.0
        if waiting:
            # The later of both: a record's own time may be wrong, and may lie in the future.
            seconds = max(0.0, now - oldest_ms / 1000 if held else 0.0, now - self._moved[place][1])
        metrics.LAG_RECORDS.labels(*place).set(waiting)
        metrics.LAG_SECONDS.labels(*place).set(seconds)

    def _forget(self, place: Place) -> None:
        """Take a partition's series away: it is another worker's, and a number that stands still here would raise an alarm."""
        del self._moved[place]
        for gauge in (metrics.LAG_RECORDS, metrics.LAG_SECONDS, metrics.LAST_PROGRESS):
            gauge.remove(*place)
        if place[0] == "scheduler":
            metrics.TIMERS_PENDING.remove(place[1])

    def _set_possessions(self, owned: dict[Place, Any]) -> None:
        sizes: dict[str, list[int]] = {stage: [] for stage in self._task_manager.stages}
        for (stage, partition), task in owned.items():
            sizes[stage].append(task.store.size() if task.store is not None else 0)
            timers = task.memory.get("timers")
            if timers is not None:
                metrics.TIMERS_PENDING.labels(partition).set(timers.pending)
        self._set_pools(owned)
        for stage, of_each in sizes.items():
            metrics.PARTITIONS.labels(stage).set(len(of_each))
            metrics.STATE_BYTES.labels(stage).set(sum(of_each))

    def _set_pools(self, owned: dict[Place, Any]) -> None:
        pools = {name: pool for task in owned.values() for name, pool in task.memory.get("pools", {}).items()}
        for name, pool in pools.items():
            metrics.POOL_CODES.labels(name).set(pool.stock)
            metrics.POOL_CLAIMS.labels(name).set(pool.waiting)
        for name in self._pools - pools.keys():
            metrics.POOL_CODES.remove(name)
            metrics.POOL_CLAIMS.remove(name)
        self._pools = set(pools)
