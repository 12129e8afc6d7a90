"""Group membership by Faust, records by librdkafka.

Faust's aiokafka consumer joins the group, sends heartbeats and runs Faust's assignor. A librdkafka consumer outside the group reads the
records of the assigned partitions from the committed offsets. They reach the agents as one Faust message per batch.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service
from mode.utils.queues import FlowControlEvent

from streams.runtime.errors import GroupLeft
from streams.runtime.faust_adapter.assignment import ConsumerThread
from streams.runtime.faust_adapter.group_members import GroupMembers
from streams.runtime.faust_adapter.liveness import Liveness
from streams.runtime.faust_adapter.membership import INTERVAL_S, Membership
from streams.runtime.processing.task import LARGE_BATCH, Task
from streams.runtime.processing.task_manager import TaskManager

#: Seconds that a read may wait when no records arrive: a due timer or a shutdown is noticed at most so late.
IDLE_WAIT_S = 0.02
#: The same while records wait for a task that commits or rests. A task that ends its commit ends this wait, too.
BUSY_WAIT_S = 0.005
#: Seconds between two checks that this worker still takes part in its group.
GROUP_CHECK_S = 1.0
#: The names of two threads for people: the one that reads records, and aiokafka's, which sends the heartbeats of the group.
READER_THREAD, MEMBERSHIP_THREAD = "reader", "membership"


def as_faust_message(task: Task[Any], records: list[Any], generation: int, faust_generation: int) -> ConsumerMessage:
    """Return a Faust message that carries a batch. Faust delivers messages only; ours carries a batch.

    Args:
        task: the task that is to process the batch.
        records: the records, possibly none.
        generation: the task manager's generation of the assignment.
        faust_generation: Faust's own, by which it drops messages of an earlier assignment.
    """
    topic = records[0].topic() if records else task.stage.topics[0]
    return ConsumerMessage(
        topic=topic,
        partition=task.partition,
        offset=0,
        timestamp=0.0,
        timestamp_type=1,
        headers=[],
        key=None,
        value=(task, records, generation),
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        tp=TP(topic, task.partition),
        generation_id=faust_generation,
    )


def check_group(coordinator: Any) -> None:
    """Raise the error after which aiokafka's coordinator has stopped.

    After an unexpected error it sends no heartbeats until someone reads records through aiokafka, which Takk never does. The worker would
    stay alive and idle while others own its partitions.

    Raises:
        GroupLeft: the coordinator has stopped.
    """
    task = coordinator._coordination_task
    error = coordinator._pending_exception or (task.done() and not task.cancelled() and task.exception())
    if isinstance(error, GroupLeft):
        raise error
    if error:
        raise GroupLeft(
            f"this worker has left the consumer group {coordinator.group_id}: {error}. Nothing is lost: the supervisor restarts the worker. If "
            "this repeats, check the broker, the permissions of the group, and that each process has its own TAKK_GROUP_INSTANCE_ID."
        ) from error


class FlowControl(FlowControlEvent):  # type: ignore[misc]  # mode's queues have no usable types
    """Faust's flow control, which keeps what is queued when the flow resumes.

    Faust resumes it twice after each assignment, and drops what was queued in between. Nobody would process those batches, and their tasks
    would wait for them until the next assignment. Batches of an earlier assignment are dropped by their generation.
    """

    def resume(self) -> None:
        """Let batches into the queues."""
        self._suspend.clear()
        self._resume.set()


class RebalanceListener(driver.ConsumerRebalanceListener):  # type: ignore[misc]
    """Faust's listener, which also keeps the worker in its group while it takes over partitions."""

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Take over the partitions while the heartbeats continue.

        aiokafka resumes them only after this call. A takeover longer than the session would lose its partitions to another worker, whose
        takeover would be as long, and so on without end.
        """
        self._thread._ensure_consumer()._coordinator._start_heartbeat_task()
        await super().on_partitions_assigned(assigned)


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, which delivers Takk's batches. Acknowledgements and offset commits are part of each batch's transaction."""

    RebalanceListener = RebalanceListener
    task_manager: TaskManager
    membership: Membership
    group_members: GroupMembers
    liveness: Liveness

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def track_message(self, message: Any) -> None:
        """Do nothing: a batch is tracked by its task's lock."""

    def ack(self, message: Any) -> bool:
        """Do nothing: offsets are committed with the outputs, in the transaction."""
        return False

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Do nothing, for the same reason."""
        return False

    async def commit_and_end_transactions(self) -> None:
        """Do nothing, for the same reason."""

    def resume_flow(self) -> None:
        """Let the reader continue if the partitions have been taken over.

        Faust resumes after the end of a takeover even if the next rebalance has begun meanwhile. The reader would then hand out records of
        partitions that are being given away, from offsets of the earlier assignment.
        """
        if self.task_manager.is_ready:
            super().resume_flow()

    async def perform_seek(self) -> None:
        """Do nothing: the fetcher starts at the committed offsets that the task manager read after fencing."""

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: aiokafka reads no records here, so its own progress means nothing."""

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Wait until no batch is in flight before the partitions are given away."""
        self.stop_flow()
        await self.task_manager.drain()
        await super().on_partitions_revoked(revoked)

    @Service.task  # type: ignore[untyped-decorator]  # mode's decorators have no types
    async def _watch_group(self) -> None:
        """Stop the worker when it no longer takes part in its group."""
        while not self.should_stop:
            if (coordinator := self._coordinator) is not None:
                try:
                    check_group(coordinator)
                except GroupLeft:
                    # aiokafka does not know the error of a member whose name another process uses. The broker lists that process.
                    await self.membership.ask(coordinator)
                    raise
                self.liveness.begin(MEMBERSHIP_THREAD)
                self._thread.thread_loop.call_soon_threadsafe(self.liveness.end, MEMBERSHIP_THREAD)
            await self.sleep(GROUP_CHECK_S)

    @Service.task  # type: ignore[untyped-decorator]
    async def _ask_membership(self) -> None:
        """Stop the worker when the broker no longer knows it as a member."""
        while not self.should_stop:
            if (coordinator := self._coordinator) is not None:
                await self.membership.ask(coordinator)
            await self.sleep(INTERVAL_S)

    @property
    def _coordinator(self) -> Any:
        """aiokafka's coordinator, or None until it exists."""
        consumer = self._thread._consumer
        return None if consumer is None else consumer._coordinator

    async def on_stop(self) -> None:
        """Wait until no batch is in flight, then leave the group."""
        self.task_manager.is_stopping = True
        await self.task_manager.drain()
        await super().on_stop()
        await asyncio.to_thread(self.group_members.close)
        self.task_manager.close()

    async def _drain_messages(self, fetcher: Any) -> None:
        task_manager = self.task_manager
        source = task_manager.fetcher
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="takk-reader")
        generation, move = None, 0
        records: list[Any] = []
        # When Faust stops its fetcher, it cancels this task. A read or a move in the thread may then begin after the next task's move.
        try:
            while not (self.should_stop or fetcher.should_stop):
                if not self.flow_active:
                    await self.wait(self.can_resume_flow)
                    continue
                if generation != task_manager.generation:
                    generation = task_manager.generation
                    move = source.next_move()
                    with self.liveness.step(READER_THREAD):
                        await loop.run_in_executor(thread, source.seek, move)
                if source.has_waiting:
                    # All tasks with records commit or rest. The first to finish takes the records that wait, and those that have arrived.
                    task_manager.idle.clear()
                    # With a backlog the next read has many records too, and does not wait.
                    if source.is_full or len(records) < LARGE_BATCH:
                        await self._wait_for_idle_task(IDLE_WAIT_S if source.is_full else BUSY_WAIT_S)
                    wait_s = 0.0
                else:
                    wait_s = IDLE_WAIT_S
                records = []
                if not source.is_full:
                    with self.liveness.step(READER_THREAD):
                        records = await loop.run_in_executor(thread, source.read, wait_s, move)
                for task, batch in source.next_batches(records, task_manager.clock()):
                    if generation != task_manager.generation:
                        task.is_queued = (
                            False  # the assignment changed during the read; otherwise nothing would free the task
                        )
                        break
                    if not self.flow_active:
                        break  # the next assignment frees the task
                    message = as_faust_message(task, batch, task_manager.generation, self.app.consumer_generation_id)
                    await self.callback(message)
        except asyncio.CancelledError:
            # During a rebalance Faust would take this for a restart of its fetcher, and the worker would end with an error.
            if not fetcher.should_stop:
                raise
        finally:
            thread.shutdown(wait=False)

    async def _wait_for_idle_task(self, timeout_s: float) -> None:
        idle = self.task_manager.idle
        # `asyncio.wait_for` would make a task of its own.
        timer = asyncio.get_running_loop().call_later(timeout_s, idle.set)
        try:
            await idle.wait()
        finally:
            timer.cancel()


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with Takk's consumer."""

    Consumer = Consumer
