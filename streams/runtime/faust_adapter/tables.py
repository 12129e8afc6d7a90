"""Faust's table manager with Takk's restore in the place of Faust's recovery (which never ends on a transactional changelog)."""

from __future__ import annotations

from typing import Any

import structlog
from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import Recovery

from streams.runtime.processing.task_manager import TaskManager

log = structlog.get_logger(__name__)


class NothingToRecover(Recovery):  # type: ignore[misc]
    """Faust's recovery service, given no table: it only resumes the streams after a rebalance."""

    def add_active(self, table: Any, tp: Any) -> None:
        """Leave the table to the tasks."""

    def add_standby(self, table: Any, tp: Any) -> None:
        """Leave the table to the tasks."""


class TableManager(FaustTableManager):  # type: ignore[misc]
    """Restores through the tasks whenever the assignment changes."""

    task_manager: TaskManager
    _recovery: Recovery | None
    #: Whether the group was asked for what its stored assignment lacks: once in the life of a process, lest two versions ask for ever.
    _has_asked = False

    @property
    def recovery(self) -> Recovery:
        """The service that resumes the streams."""
        if self._recovery is None:
            self._recovery = NothingToRecover(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Start without Faust's pause of a second: all agents are defined before the app starts."""
        await self._update_channels()
        await self.recovery.start()

    async def on_stop(self) -> None:
        """Let every commit under way reach the disk before the stores close: Faust stops the tables before the consumer."""
        await self.task_manager.settle()
        await super().on_stop()

    async def on_rebalance(self, assigned: Any, revoked: Any, newly_assigned: Any, generation_id: int = 0) -> None:
        """Take over the assigned partitions before Faust lets records flow."""
        standbys = {(tp.topic, tp.partition) for tp in self.app.assignor.assigned_standbys()}
        places = {(tp.topic, tp.partition) for tp in assigned}
        await self.task_manager.assign(places, standbys)
        self._ask_for(self.task_manager.lacking(places))
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def _ask_for(self, lacking: list[str]) -> None:
        """Have the group assigned anew if there are topics that nobody gave to this worker.

        Who comes back under its name (KIP-345) is given what it had, even if it reads more topics than it did: an input that a newer
        version has, or a stage that a flow needs now, would lie unread until the next worker comes or goes.
        """
        if not lacking or self._has_asked or not self.app.conf.consumer_group_instance_id:
            return
        self._has_asked = True
        log.info("the group does not know all that this worker reads, and is assigned anew", topics=lacking)
        thread = self.app.consumer._thread
        thread.thread_loop.call_soon_threadsafe(thread._ensure_consumer()._coordinator.request_rejoin)
