"""The worker's share of the group, without topics that it does not read.

A static member (KIP-345) that returns within its session gets its former assignment, made for the version that ran before. aiokafka and
Faust refuse an assignment with a topic that the worker does not subscribe, so a worker of a version that reads fewer topics could not start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import aiokafka
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.assignor.client_assignment import ClientAssignment, ClientMetadata
from faust.assignor.partition_assignor import PartitionAssignor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from streams.runtime.faust_adapter.coordinator import Coordinator


class Subscription(SubscriptionState):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's subscription, which leaves out assigned topics that are not subscribed."""

    #: The assigned topics of the newest assignment that are not subscribed, in order.
    unread_topics: tuple[str, ...] = ()

    def assign_from_subscribed(self, assignment: Iterable[Any]) -> None:
        """Set the assignment to its subscribed topics."""
        topics = self.subscription.topics
        self.unread_topics = tuple(sorted({tp.topic for tp in assignment} - set(topics)))
        super().assign_from_subscribed({tp for tp in assignment if tp.topic in topics})


class Assignor(PartitionAssignor):  # type: ignore[misc]  # Faust has no usable types
    """Faust's assignor, which leaves out assigned topics that are not subscribed.

    Faust also compares the assignment with its own idea of it, and stops the coordinator if they differ. They differ after a return with
    other tables or under another host name.
    """

    _subscribed: frozenset[str] = frozenset()

    def metadata(self, topics: Iterable[str]) -> Any:
        """Return this worker's part of the next assignment."""
        self._subscribed = frozenset(topics)
        return super().metadata(topics)

    def on_assignment(self, assignment: Any) -> None:
        """Keep the assignment, as the leader computed it, of the subscribed topics."""
        metadata = ClientMetadata.loads(self._decompress(assignment.user_data))
        self._assignment = ClientAssignment(
            actives=self._known(metadata.assignment.actives), standbys=self._known(metadata.assignment.standbys)
        )
        self._topic_groups = dict(metadata.topic_groups)
        self._active_tps = self._assignment.active_tps
        self._standby_tps = self._assignment.standby_tps
        self.changelog_distribution = metadata.changelog_distribution
        self.external_topic_distribution = metadata.external_topic_distribution

    def _known(self, partitions: Mapping[str, list[int]]) -> dict[str, list[int]]:
        return {topic: list(numbers) for topic, numbers in partitions.items() if topic in self._subscribed}


class ConsumerThread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's thread of the group membership, with Takk's subscription and coordinator."""

    async def on_start(self) -> None:
        """Start the consumer, which joins the group when Faust subscribes."""
        await super().on_start()
        Coordinator.adopt(self._ensure_consumer()._coordinator, self.consumer.membership)

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._subscription = Subscription()  # nothing is subscribed yet
        return consumer
