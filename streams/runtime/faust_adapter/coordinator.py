"""aiokafka's group coordinator, which does not take a name back that another process has taken.

After another process has joined under the name of this one, the broker answers a heartbeat with UNKNOWN_MEMBER_ID. aiokafka joins again at
once, and takes the name from the other process, which does the same, without end.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.consumer.group_coordinator import GroupCoordinator
from confluent_kafka import KafkaException

from streams.runtime.errors import GroupLeft
from streams.runtime.faust_adapter.membership import Membership


class Coordinator(GroupCoordinator):  # type: ignore[misc]  # aiokafka has no types
    """The coordinator of a process that may have a name in its group."""

    membership: Membership
    #: The member id that the broker no longer knows, until its loss has been checked.
    _lost_id = ""

    @classmethod
    def adopt(cls, coordinator: GroupCoordinator, membership: Membership) -> None:
        """Make a coordinator, which aiokafka has created and which has not joined, one of this class."""
        coordinator.__class__ = cls
        coordinator.membership = membership

    def reset_generation(self) -> None:
        """Forget the member id before the next join."""
        self._lost_id = self.member_id or self._lost_id
        super().reset_generation()

    async def _do_rejoin_group(self, subscription: Any) -> bool:
        if self._lost_id and not self.member_id:
            try:
                await self.membership.check_rejoin(self._lost_id)
            except KafkaException:  # the broker is away: try again
                await asyncio.sleep(self._retry_backoff_ms / 1000)
                return False
            except GroupLeft as error:
                await self._push_error_to_user(error)  # returns when the consumer is closed; see `check_group`
                return False
            self._lost_id = ""
        return bool(await super()._do_rejoin_group(subscription))

    async def _on_join_complete(self, generation: int, member_id: str, protocol: str, assignment: bytes) -> None:
        self.membership.owner.keep(member_id)
        await super()._on_join_complete(generation, member_id, protocol, assignment)
