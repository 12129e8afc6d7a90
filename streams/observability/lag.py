"""Lag and ownership: how far a worker is behind, which partitions it owns, and how large their state is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol

from streams.observability import metrics

#: Stage name and partition.
TaskKey = tuple[str, int]


class LagSource(Protocol):
    """The part of a fetcher that the monitor reads."""

    def lag(self) -> Iterator[tuple[str, int, int]]:
        """Yield (topic, partition, unread records). Called in a thread."""

    def in_flight(self) -> Iterator[tuple[str, int, int, int]]:
        """Yield (stage, partition, records, oldest time in ms) for records that are read and not committed."""


class TaskSource(Protocol):
    """The part of a task manager that the monitor reads. Iteration yields the owned tasks."""

    is_ready: bool
    stages: dict[str, Any]

    def __iter__(self) -> Iterator[Any]: ...

    @property
    def fetcher(self) -> LagSource:
        """The fetcher of the same worker."""

    def stage_of(self, topic: str) -> str:
        """Return the name of the stage that reads `topic`."""


class LagMonitor:
    """Sets the gauges of a worker's lag and of the partitions that it owns.

    A partition's lag in seconds is the age of the oldest record that is read and not committed. If records are unread and none is in
    flight, their age is unknown; then it is the time since the partition last advanced. Both grow while a partition is stuck.

    Args:
        tasks: the task manager of the worker.
        gauges: further gauges to set from the owned tasks at each sample.
        clock: the wall clock, in seconds since 1970.
    """

    def __init__(
        self,
        tasks: TaskSource,
        gauges: Sequence[Callable[[Iterable[Any]], None]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tasks = tasks
        self._gauges = gauges
        self._clock = clock
        #: The number of records that a partition had committed when it last advanced, and that time.
        self._advanced: dict[TaskKey, tuple[int, float]] = {}
        for stage in tasks.stages:
            metrics.STAGE_PROGRESS.labels(stage).set(clock())

    async def sample(self) -> None:
        """Set all gauges once. During a rebalance nothing advances, and only the seconds of lag grow."""
        if not self._tasks.is_ready:
            for key, (_, advanced) in self._advanced.items():
                metrics.LAG_SECONDS.labels(*key).set(max(0.0, self._clock() - advanced))
            return
        unread = await asyncio.to_thread(self._unread)
        if not self._tasks.is_ready:
            return
        in_flight = {(stage, n): (records, ms) for stage, n, records, ms in self._tasks.fetcher.in_flight()}
        now = self._clock()
        owned = {(task.stage.name, task.partition): task for task in self._tasks}
        for key, task in owned.items():
            records, oldest_ms = in_flight.get(key, (0, 0))
            self._set_lag(key, task.committed_records, unread.get(key, 0), records, oldest_ms, now)
        for key in set(self._advanced) - set(owned):
            self._remove(key)
        for stage in self._tasks.stages:
            times = [time for (name, _), (_, time) in self._advanced.items() if name == stage]
            metrics.STAGE_PROGRESS.labels(stage).set(min(times, default=now))
        self._set_ownership_gauges(owned.values())
        for set_gauges in self._gauges:
            set_gauges(owned.values())

    def _unread(self) -> dict[TaskKey, int]:
        unread: dict[TaskKey, int] = {}
        for topic, partition, records in self._tasks.fetcher.lag():
            key = (self._tasks.stage_of(topic), partition)
            unread[key] = unread.get(key, 0) + records
        return unread

    def _set_lag(self, key: TaskKey, committed: int, unread: int, in_flight: int, oldest_ms: int, now: float) -> None:
        before = self._advanced.get(key)
        waiting = unread + in_flight
        if before is None or before[0] != committed or not waiting:
            self._advanced[key] = (committed, now)
            metrics.LAST_PROGRESS.labels(*key).set(now)
        seconds = 0.0
        if waiting:
            # The larger of both, because a record's own time may be wrong, even in the future.
            seconds = max(0.0, now - oldest_ms / 1000 if in_flight else 0.0, now - self._advanced[key][1])
        metrics.LAG_RECORDS.labels(*key).set(waiting)
        metrics.LAG_SECONDS.labels(*key).set(seconds)

    def _remove(self, key: TaskKey) -> None:
        """Remove the series of a partition that another worker now owns. A stale number would raise an alert."""
        del self._advanced[key]
        for gauge in (metrics.LAG_RECORDS, metrics.LAG_SECONDS, metrics.LAST_PROGRESS):
            gauge.remove(*key)

    def _set_ownership_gauges(self, owned: Collection[Any]) -> None:
        sizes: dict[str, list[int]] = {stage: [] for stage in self._tasks.stages}
        for task in owned:
            sizes[task.stage.name].append(task.store.size() if task.store is not None else 0)
        for stage, bytes_per_partition in sizes.items():
            metrics.PARTITIONS.labels(stage).set(len(bytes_per_partition))
            metrics.STATE_BYTES.labels(stage).set(sum(bytes_per_partition))
