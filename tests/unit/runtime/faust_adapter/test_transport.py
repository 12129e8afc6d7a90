"""The transport: batches travel as Faust messages, and the worker's place in its group is watched."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import GroupAuthorizationFailedError
from faust.types import TP

from streams.runtime.errors import GroupLeft
from streams.runtime.faust_adapter.transport import RebalanceListener, as_faust_message, check_group
from tests.harness.kafka_fakes import TOPIC, Record, stage, task


def test_a_message_carries_a_batch() -> None:
    """The message has the task, its records and the generation as its value, and belongs to the topic of the records."""
    one = task(None, stage(topics=("first", TOPIC)))
    records = [Record(5), Record(6)]
    message = as_faust_message(one, records, 3, 7)
    assert message.value == (one, records, 3)
    assert (message.tp, message.topic, message.generation_id) == (TP(TOPIC, 0), TOPIC, 7)


def test_an_empty_batch_belongs_to_the_first_topic() -> None:
    """A batch of timers has no records, and is delivered on the first topic of its stage."""
    one = task(None, stage(topics=("first", TOPIC)))
    assert as_faust_message(one, [], 3, 7).tp == TP("first", 0)


class RefusingClient:
    """A client whose cluster does not let the group in."""

    def __init__(self) -> None:
        self.cluster = ClusterMetadata()

    async def coordinator_lookup(self, kind: Any, group_id: str) -> int:
        raise GroupAuthorizationFailedError(group_id)


async def test_a_worker_outside_its_group_is_noticed() -> None:
    """After an error of the group, aiokafka's coordinator waits for a read that never comes. The check raises the error instead."""
    subscription = SubscriptionState()
    subscription.register_fetch_waiters(set())
    subscription.subscribe({TOPIC})
    coordinator = GroupCoordinator(RefusingClient(), subscription, group_id="app-worker")
    check_group(coordinator)
    while coordinator._pending_exception is None:  # noqa: ASYNC110 - aiokafka has no event for it
        await asyncio.sleep(0)
    with pytest.raises(GroupLeft, match=r"has left the consumer group app-worker: .*GroupAuthorizationFailedError"):
        check_group(coordinator)
    await coordinator.close()


@dataclass
class Coordinator:
    """aiokafka's coordinator and Faust's thread around it; records their calls."""

    generation: int = 3
    calls: list[str] = field(default_factory=list)

    @property
    def _coordinator(self) -> Coordinator:
        return self

    @property
    def app(self) -> Coordinator:
        return self

    def _ensure_consumer(self) -> Coordinator:
        return self

    def _start_heartbeat_task(self) -> None:
        self.calls.append("heartbeats")

    async def on_partitions_assigned(self, assigned: set[TP], generation: int) -> None:
        self.calls.append("takeover")


async def test_heartbeats_start_before_the_takeover() -> None:
    """A takeover may last longer than the session."""
    coordinator = Coordinator()
    await RebalanceListener(coordinator).on_partitions_assigned([TP(TOPIC, 0)])
    assert coordinator.calls == ["heartbeats", "takeover"]
