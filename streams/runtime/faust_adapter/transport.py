"""Membership by Faust, data by librdkafka.

Faust's aiokafka consumer joins the group, heartbeats and runs Faust's assignor. The records of the assigned partitions are read by
a librdkafka consumer outside the group, from the committed offsets, and reach the agents as one Faust message per batch.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.runtime.processing.task_manager import TaskManager

#: Seconds that a read may wait when nothing is there: the longest time by which a due timer or a shutdown is noticed late.
IDLE_WAIT_S = 0.02
#: The same while records wait for a task that commits: a free task should not stand idle.
BUSY_WAIT_S = 0.002


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer with its road of records replaced; acks and offset commits are the checkpoint's business."""

    task_manager: TaskManager

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

    async def perform_seek(self) -> None:
        """Do nothing: the reader starts at the committed offsets that the tasks found after fencing."""

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: aiokafka reads nothing here, so its own view of progress says nothing."""

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Let every batch that is under way end before the partitions are given away."""
        self.stop_flow()
        await self.task_manager.settle()
        await super().on_partitions_revoked(revoked)

    async def on_stop(self) -> None:
        """Let every batch that is under way end, then leave the group."""
        await self.task_manager.settle()
        await super().on_stop()
        self.task_manager.close()

    async def _drain_messages(self, fetcher: Any) -> None:
        task_manager, fetched = self.task_manager, self.task_manager.fetcher
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix="takk-reader")
        generation = None
        # Faust's stop of the fetcher cancels this task; the read in the thread ends by itself within IDLE_WAIT_S.
        try:
            while not (self.should_stop or fetcher.should_stop):
                if not self.flow_active:
                    await self.wait(self.can_resume_flow)
                    continue
                if generation != task_manager.generation:
                    generation = task_manager.generation
                    await loop.run_in_executor(thread, fetched.seek)
                if fetched.has_waiting:
                    # All tasks with work commit: the first to end takes what waits. Until then, read on if there is room.
                    task_manager.freed.clear()
                    if fetched.is_full:
                        await self._await_free()
                    records = [] if fetched.is_full else await loop.run_in_executor(thread, fetched.read, BUSY_WAIT_S)
                else:
                    records = await loop.run_in_executor(thread, fetched.read, IDLE_WAIT_S)
                for task, batch in fetched.next_batches(records, task_manager.clock()):
                    if generation != task_manager.generation or not self.flow_active:
                        break
                    await self._deliver(task, batch)
        finally:
            thread.shutdown(wait=False)

    async def _await_free(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.task_manager.freed.wait(), IDLE_WAIT_S)

    async def _deliver(self, task: Any, batch: list[Any]) -> None:
        topic = batch[0].topic() if batch else task.stage.topics[0]
        tp = TP(topic, task.partition)
        await self.callback(
            ConsumerMessage(
                topic, task.partition, 0, 0.0, 1, [], None, (task, batch, self.task_manager.generation), None, 0, 0, tp,
                generation_id=self.app.consumer_generation_id,
            )
        )  # fmt: skip


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with Takk's consumer."""

    Consumer = Consumer
