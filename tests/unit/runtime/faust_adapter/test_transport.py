"""The transport: batches travel as Faust messages, and the worker's place in its group is watched."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import GroupAuthorizationFailedError
from confluent_kafka import KafkaError, KafkaException
from faust.types import TP
from mode.utils.queues import FlowControlQueue

from streams.runtime.errors import GroupLeft
from streams.runtime.faust_adapter.coordinator import Coordinator as NamedCoordinator
from streams.runtime.faust_adapter.liveness import STEP_LIMIT_S, Liveness
from streams.runtime.faust_adapter.transport import (
    MEMBERSHIP_THREAD,
    READER_THREAD,
    Consumer,
    FlowControl,
    RebalanceListener,
    as_faust_message,
    check_group,
)
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


class NamedMembership:
    """A membership whose broker is away once. Another process has taken its name if `taken` is not empty."""

    def __init__(self, taken: str) -> None:
        self.taken = taken
        self.asked: list[str] = []

    async def check_rejoin(self, lost_id: str) -> None:
        self.asked.append(lost_id)
        if len(self.asked) == 1:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        if self.taken:
            raise GroupLeft(self.taken)


@pytest.mark.parametrize("taken", ["", "another process uses the name"])
async def test_a_name_is_checked_before_the_next_join(monkeypatch: pytest.MonkeyPatch, taken: str) -> None:
    """A process that lost its member id joins again once the broker has answered, and not if another process has taken its name."""

    async def join(self: Any, subscription: Any) -> bool:
        self.member_id = "new"
        return True

    monkeypatch.setattr(GroupCoordinator, "_do_rejoin_group", join)
    coordinator: Any = GroupCoordinator(RefusingClient(), SubscriptionState(), retry_backoff_ms=0)
    membership = NamedMembership(taken)
    NamedCoordinator.adopt(coordinator, membership)  # type: ignore[arg-type]
    coordinator._subscription.register_fetch_waiters(set())
    assert await coordinator._do_rejoin_group(None)
    assert membership.asked == []
    coordinator.member_id = "old"
    for _ in range(2):
        coordinator.reset_generation()
    assert not await coordinator._do_rejoin_group(None)  # the broker is away
    join_again = asyncio.create_task(coordinator._do_rejoin_group(None))
    if taken:
        while coordinator._pending_exception is None:  # noqa: ASYNC110 - aiokafka has no event for it
            await asyncio.sleep(0)
        with pytest.raises(GroupLeft, match=taken):
            check_group(coordinator)
        await coordinator.close()
        assert not await join_again
        assert coordinator.member_id == ""
    else:
        assert await join_again
        assert await coordinator._do_rejoin_group(None)
        await coordinator.close()
    assert membership.asked == ["old", "old"]


class BlockedFetcher:
    """A fetcher whose read does not return until the test lets it."""

    has_waiting = is_full = False

    def __init__(self) -> None:
        self.is_reading = threading.Event()
        self.may_return = threading.Event()

    def next_move(self) -> int:
        return 1

    def seek(self, move: int) -> None:
        pass

    def read(self, wait_s: float, move: int) -> list[Any]:
        self.is_reading.set()
        assert self.may_return.wait(10)
        return []

    def next_batches(self, records: list[Any], now_ms: int) -> list[Any]:
        return []


class Worker:
    """The parts of Faust's consumer, its service and Takk's task manager that the reading and watching of a worker need."""

    def __init__(self) -> None:
        self.should_stop = False
        self.flow_active = self.is_ready = True
        self.generation = 1
        self.fetcher = BlockedFetcher()
        self.now = 0.0
        self.liveness = Liveness(lambda: self.now)
        self.thread_loop = asyncio.new_event_loop()  # it never runs, like one that is blocked

    @property
    def task_manager(self) -> Worker:
        return self

    @property
    def _thread(self) -> Worker:
        return self

    @property
    def _coordinator(self) -> Any:
        return Coordinator()

    def clock(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def test_a_reader_that_stands_still_is_noticed() -> None:
    """A read that does not return stalls the reader thread, until it returns; afterwards it is not stalled."""
    worker = Worker()
    reading = asyncio.ensure_future(Consumer._drain_messages(worker, worker))
    assert await asyncio.to_thread(worker.fetcher.is_reading.wait, 10)
    worker.now = STEP_LIMIT_S + 1
    assert [name for name, _ in worker.liveness.stalled()] == [READER_THREAD]
    worker.should_stop = True
    worker.fetcher.may_return.set()
    await reading
    assert not list(worker.liveness.stalled())


class FetcherOfOneBatch(BlockedFetcher):
    """A fetcher whose read returns a batch of one task."""

    def __init__(self) -> None:
        super().__init__()
        store: Any = None
        self.task = task(store)

    def next_batches(self, records: list[Any], now_ms: int) -> Iterator[tuple[Any, list[Any]]]:
        self.task.is_queued = True
        yield self.task, []


async def test_an_assignment_during_a_read_leaves_no_task_queued() -> None:
    """A batch that was read before an assignment is dropped, and its task gets the next one. Otherwise its partition stood still."""
    worker = Worker()
    worker.fetcher = fetcher = FetcherOfOneBatch()
    reading = asyncio.ensure_future(Consumer._drain_messages(worker, worker))
    assert await asyncio.to_thread(fetcher.is_reading.wait, 10)
    worker.generation = 2
    worker.should_stop = True
    fetcher.may_return.set()
    await reading
    assert not fetcher.task.is_queued


async def test_a_second_resume_keeps_a_queued_batch() -> None:
    """Faust resumes the flow twice after an assignment. A batch that is queued in between is processed."""
    flow = FlowControl()
    queue: FlowControlQueue[str] = FlowControlQueue(maxsize=8, flow_control=flow, clear_on_resume=True)
    flow.resume()
    await queue.put("batch")
    flow.resume()
    assert queue.get_nowait() == "batch"
    await queue.put("revoked")
    flow.clear()
    assert queue.empty()


class FlowConsumer(Consumer):
    """A consumer without Faust's app."""

    def __init__(self, manager: Any) -> None:
        self.task_manager = manager
        self.flow_active = False
        self.can_resume_flow, self.suspend_flow = asyncio.Event(), asyncio.Event()


async def test_the_flow_stays_stopped_while_partitions_are_given_away() -> None:
    """The end of an earlier takeover, which Faust may notice during the next rebalance, does not let the reader continue."""
    manager = Worker()
    consumer = FlowConsumer(manager)
    for manager.is_ready in (False, True):
        consumer.resume_flow()
        assert consumer.flow_active == consumer.can_resume_flow.is_set() == manager.is_ready


async def test_a_membership_thread_that_stands_still_is_noticed() -> None:
    """The loop that sends the heartbeats is checked every second. It is stalled from the first check that it does not answer."""
    worker = Worker()
    watching = asyncio.ensure_future(Consumer._watch_group.fun(worker))
    for worker.now in (0.0, 30.0, STEP_LIMIT_S + 1):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert [name for name, _ in worker.liveness.stalled()] == [MEMBERSHIP_THREAD]
    worker.thread_loop.call_soon(worker.thread_loop.stop)
    await asyncio.to_thread(worker.thread_loop.run_forever)
    worker.should_stop = True
    await watching
    worker.liveness.end(MEMBERSHIP_THREAD)
    assert not list(worker.liveness.stalled())
    worker.thread_loop.close()


@dataclass
class Coordinator:
    """aiokafka's coordinator and Faust's thread around it; records their calls."""

    generation: int = 3
    _pending_exception: Exception | None = None
    calls: list[str] = field(default_factory=list)

    @property
    def _coordinator(self) -> Coordinator:
        return self

    @property
    def app(self) -> Coordinator:
        return self

    @property
    def _coordination_task(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

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
