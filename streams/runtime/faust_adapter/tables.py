"""Faust's table manager with Takk's restore instead of Faust's recovery, which never ends on a transactional changelog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import Recovery

from streams.runtime.processing.task_manager import TaskManager

log = structlog.get_logger(__name__)


class NothingToRecover(Recovery):  # type: ignore[misc]
    """Faust's recovery service without tables: it only resumes the streams after a rebalance."""

    def add_active(self, table: Any, tp: Any) -> None:
        """Do nothing: the task manager restores the table."""

    def add_standby(self, table: Any, tp: Any) -> None:
        """Do nothing: the task manager follows the table."""


class TableManager(FaustTableManager):  # type: ignore[misc]
    """Lets the task manager take over partitions whenever the assignment changes."""

    task_manager: TaskManager
    _recovery: Recovery | None
    #: Whether a rebalance was requested. It is requested once per process, so that workers of two versions do not rebalance without end.
    _has_requested_rebalance = False

    @property
    def recovery(self) -> Recovery:
        """The service that resumes the streams."""
        if self._recovery is None:
            self._recovery = NothingToRecover(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Start without Faust's delay of one second: all agents are registered before the app starts."""
        await self._update_channels()
        await self.recovery.start()

    async def on_stop(self) -> None:
        """Wait until every commit is on disk before the stores close: Faust stops the tables before the consumer."""
        self.task_manager.is_stopping = True
        await self.task_manager.drain()
        await super().on_stop()

    async def on_rebalance(self, assigned: Any, revoked: Any, newly_assigned: Any, generation_id: int = 0) -> None:
        """Take over the assigned partitions before Faust resumes the streams."""
        standbys = {(tp.topic, tp.partition) for tp in self.app.assignor.assigned_standbys()}
        partitions = {(tp.topic, tp.partition) for tp in assigned}
        consumer = self.app.consumer._thread._ensure_consumer()
        coordinator = consumer._coordinator
        await self.task_manager.assign(partitions, standbys, coordinator.member_id, coordinator.generation)
        self._request_rebalance(self.task_manager.missing_topics(partitions), consumer._subscription.unread_topics)
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def _request_rebalance(self, missing: Sequence[str], unread: Sequence[str]) -> None:
        """Request a rebalance if the assignment has other topics than this worker reads.

        A static member (KIP-345) that returns gets its old assignment, even if it now reads other topics. The input of a newer version, or
        of a stage that a flow newly needs, would stay unread until another worker joins or leaves; so would the partitions of topics that
        only other workers of the group still read.

        Args:
            missing: topics that this worker reads and whose partitions are not assigned to it.
            unread: topics that are assigned to it and that it does not read.
        """
        if not (missing or unread) or self._has_requested_rebalance or not self.app.conf.consumer_group_instance_id:
            return
        self._has_requested_rebalance = True
        log.info(
            "requesting a rebalance: the group's assignment has other topics than this worker reads",
            missing=list(missing),
            unread=list(unread),
        )
        thread = self.app.consumer._thread
        thread.thread_loop.call_soon_threadsafe(thread._ensure_consumer()._coordinator.request_rejoin)
