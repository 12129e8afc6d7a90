"""The answers of `/livez` and `/readyz`.

A process is alive unless a restart would help. A restart does not bring back a broker that is away, or shorten a restore. A process is ready
once it has been assigned partitions and the broker answers, except while a rebalance or a restore lasts unusually long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from streams.observability import metrics
from streams.observability.health import Status

#: Seconds that a rebalance, with the restores in it, may take while the process stays ready. Otherwise every rollout would make the whole
#: fleet unready at once.
REBALANCE_S = 30.0


class Tasks(Protocol):
    """The part of a task manager that the probes read."""

    is_ready: bool
    restoring: int


class Membership(Protocol):
    """The part of the membership that the probes read."""

    is_member: bool

    @property
    def is_broker_away(self) -> bool:
        """Whether the broker has not answered for some time."""

    @property
    def is_over(self) -> bool:
        """Whether the broker has answered for a whole session that this process is not a member."""


class Probes:
    """The state of one process, for its probes and for the gauges that show the same.

    Args:
        tasks: its task manager.
        membership: its membership in its group.
        is_cluster_down: whether no broker accepts a connection.
        stalled: yields the threads that stand still, with the seconds since they began their step.
        progress: describes the restores that run; an empty text if none does.
        startup: describes the start, until it is over; then an empty text.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        tasks: Tasks,
        membership: Membership,
        *,
        is_cluster_down: Callable[[], bool],
        stalled: Callable[[], Iterator[tuple[str, float]]],
        progress: Callable[[], str],
        startup: Callable[[], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tasks = tasks
        self._membership = membership
        self._is_cluster_down = is_cluster_down
        self._stalled = stalled
        self._progress = progress
        self._startup = startup
        self._clock = clock
        #: When all partitions were last restored and processed; None until they are for the first time.
        self._last_ready: float | None = None

    def is_alive(self) -> Status:
        """Return whether the process works, or waits for something that a restart does not change."""
        if self._is_broker_away:
            return True, "ok, waiting for the broker"
        if self._membership.is_over:
            return False, "the broker answers that this process is not a member of its group"
        for thread, seconds in self._stalled():
            return False, f"the {thread} thread has stood still for {seconds:.0f} s"
        return True, "ok"

    def is_ready(self) -> Status:
        """Return whether the process takes part: it has partitions, and the broker answers."""
        self.look()
        if startup := self._startup():
            return False, startup
        if self._is_broker_away:
            return False, "the broker does not answer"
        if self._tasks.is_ready:
            return True, "ready"
        state = self._progress() or "joining or rebalancing"
        if self._last_ready is None:
            return False, state
        seconds = self._clock() - self._last_ready
        return seconds <= REBALANCE_S, f"{state} for {seconds:.0f} s"

    def look(self) -> None:
        """Note whether the process has its partitions, and set the gauges. Call it at least every few seconds."""
        if self._tasks.is_ready:
            self._last_ready = self._clock()
        metrics.MEMBER.set(self._membership.is_member)
        metrics.RESTORING.set(self._tasks.restoring)

    @property
    def _is_broker_away(self) -> bool:
        return self._membership.is_broker_away or self._is_cluster_down()
