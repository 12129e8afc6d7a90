"""The tasks of a worker: which partitions it owns, how it takes them over, reads them and gives them back.

Taking over, in this order (KIP-98): `init_transactions` fences the previous owner; then the store is brought up to the changelog;
only then the committed source offsets are read. Any other order lets a paused zombie commit in between.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from streams.runtime import failpoints
from streams.runtime.errors import StoreError
from streams.runtime.kafka.limits import LARGEST_BYTES
from streams.runtime.kafka.retry import ask
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.fetcher import Fetcher
from streams.runtime.processing.stage import Stage
from streams.runtime.processing.task import Task
from streams.runtime.state.restore import restore
from streams.runtime.state.standby import Standbys

#: Milliseconds after which the broker aborts a transaction that nobody ends: longer than any batch, short enough that a dead worker's
#: open transaction does not hold back the readers of its outputs for long (a new owner ends it at once anyway).
TRANSACTION_TIMEOUT_MS = 60_000
#: Seconds that giving back partitions may take, less than Kafka's default session timeout of 45 s.
SETTLE_PATIENCE_S = 12.0


class TaskManager:
    """All tasks of one worker process (one Faust app).

    Args:
        app_id: the consumer group; first part of every transactional id.
        kafka: librdkafka settings of the cluster.
        batch_records: records read at once over all partitions.
        batch_bytes: bytes after which one partition's batch is cut.
        clock: wall clock in milliseconds since 1970.
    """

    def __init__(
        self,
        app_id: str,
        kafka: Mapping[str, Any],
        *,
        batch_records: int = 8000,
        batch_bytes: int = 16 << 20,
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self.app_id = app_id
        self.kafka = dict(kafka)
        self.clock = clock
        self.generation: int = 0
        self.is_ready = False
        self.freed = asyncio.Event()
        self.stages: dict[str, Stage] = {}
        self.stores: dict[str, Any] = {}
        self.on_restore: Callable[[str, int, int], None] = lambda stage, done, total: None
        self.on_restored: Callable[[str, int, float], None] = lambda stage, records, seconds: None
        self.standbys = Standbys(self.kafka, f"{app_id}-standby")
        self._copies: set[tuple[str, int]] = set()
        self._tasks: dict[tuple[str, int], Task] = {}
        self._by_topic: dict[str, Stage] = {}
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="takk-commit")
        self._meta: Any = None
        self.fetcher = Fetcher(
            self.kafka,
            f"{app_id}-reader",
            self._by_topic,
            self._tasks,
            batch_records=batch_records,
            batch_bytes=batch_bytes,
        )

    def add(self, stage: Stage) -> None:
        """Register a stage; its topics may belong to no other stage of this worker."""
        for topic in stage.topics:
            if topic in self._by_topic:
                raise ValueError(
                    f"topic {topic} is read by {self._by_topic[topic].name} and {stage.name}: one reader only"
                )
            self._by_topic[topic] = stage
        self.stages[stage.name] = stage

    def stage_of(self, topic: str) -> str:
        """The name of the stage that reads `topic`."""
        return self._by_topic[topic].name

    def __iter__(self) -> Iterator[Task]:
        return iter(list(self._tasks.values()))

    # -- owning ------------------------------------------------------------------------------------------------------

    async def assign(self, assigned: set[tuple[str, int]], standbys: Iterable[tuple[str, int]] = ()) -> None:
        """Own exactly `assigned` from now on: close what is gone, fence, restore, find the offsets.

        Args:
            assigned: topic and partition of what this worker reads.
            standbys: changelog and partition of what it keeps a following copy of.

        Raises:
            StoreError, KafkaException: the partitions cannot be taken over; the worker must end.
        """
        wanted = self.owned(assigned)
        copies = {(s.name, p) for t, p in standbys if (s := self._by_changelog.get(t)) is not None} - wanted
        await asyncio.to_thread(self._follow, self._copies & copies)
        for name, partition in self._copies - copies - wanted:
            self.stores[name].release(partition)
        for name, partition in set(self._tasks) - wanted:
            self._release(self._tasks.pop((name, partition)))
        await asyncio.to_thread(self._take, sorted(wanted - set(self._tasks)))
        await asyncio.to_thread(self._follow, copies)
        failpoints.reach("lanes.restored")
        sources = [
            TopicPartition(t, p) for t, p in sorted(assigned) if t in self._by_topic and (self.stage_of(t), p) in wanted
        ]
        self.fetcher.starts = await asyncio.to_thread(self._committed, sources)
        self._check_births()
        for task in self:
            task.is_queued = False  # what was dealt before the rebalance is dropped
        self.generation += 1
        self.is_ready = True

    def owned(self, assigned: set[tuple[str, int]]) -> set[tuple[str, int]]:
        """Stage and partition of what is to be owned: a number belongs to who was given it of the stage's first topic.

        While workers of two versions share a group, an input that only the newer ones read is dealt out among those alone, apart from the
        others: a newer worker is given it also of numbers that are an older one's.
        """
        return {(s.name, p) for t, p in assigned if (s := self._by_topic.get(t)) is not None and t == s.topics[0]}

    def lacking(self, assigned: set[tuple[str, int]]) -> list[str]:
        """The topics of which this worker was not given what belongs to the rest; none where it was given nothing at all."""
        if not assigned:
            return []
        owned, found = self.owned(assigned), set()
        for name, stage in self.stages.items():
            numbers = {p for of, p in owned if of == name}
            found |= {t for t in stage.topics if not numbers or any((t, p) not in assigned for p in numbers)}
        return sorted(found)

    def _follow(self, copies: set[tuple[str, int]]) -> None:
        """Follow exactly `copies` (stage and partition)."""
        self.standbys.follow({(self.stages[name].changelog, p): self.stores[name].partition(p) for name, p in copies})
        self._copies = copies

    @property
    def _by_changelog(self) -> dict[str, Stage]:
        return {stage.changelog: stage for stage in self.stages.values() if stage.table}

    def _take(self, wanted: list[tuple[str, int]]) -> None:
        with ThreadPoolExecutor(8) as pool:
            producers = list(pool.map(lambda w: self._fence(*w), wanted))
        failpoints.reach("lanes.fenced")
        fresh: dict[str, dict[int, Task]] = {}
        for (name, partition), producer in zip(wanted, producers, strict=True):
            stage = self.stages[name]
            store = self.stores[name].partition(partition) if stage.table else None
            fresh.setdefault(name, {})[partition] = Task(stage, partition, producer, store, self.freed)
        for name, tasks in fresh.items():
            stage = self.stages[name]
            if stage.table:
                stores = {p: task.store for p, task in tasks.items() if task.store is not None}
                started = time.monotonic()
                records = restore(self.kafka, stage.changelog, stores, partial(self.on_restore, name))
                self.on_restored(name, records, time.monotonic() - started)
            for partition, task in tasks.items():
                stage.open(task)
                self._tasks[(name, partition)] = task

    def _fence(self, name: str, partition: int) -> Producer:
        producer = Producer(
            {
                **self.kafka,
                "transactional.id": f"{self.app_id}-{name}-{partition}",
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                "partitioner": "murmur2_random",
                # A commit sends what is left at once, whatever this says; until then each wait that ends wakes a broker's thread once
                # more, which costs more than its few records.
                "linger.ms": 100,
                # A coordinator that still ends the last transaction says "again": the default of 100 ms would be the longest part of a commit.
                "retry.backoff.ms": 5,
                "retry.backoff.max.ms": 100,
                "queue.buffering.max.messages": 1_000_000,
                "queue.buffering.max.kbytes": 256 << 10,
                "compression.type": "lz4",
                "message.max.bytes": LARGEST_BYTES,
            }
        )
        producer.init_transactions(60.0)
        return producer

    def _committed(self, sources: list[TopicPartition]) -> list[TopicPartition]:
        if not sources:
            return []
        if self._meta is None:
            self._meta = Consumer(
                {
                    **self.kafka,
                    "group.id": self.app_id,
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                }
            )
        found = ask(partial(self._ask_committed, sources))
        for tp in found:
            if tp.offset < 0:
                tp.offset = OFFSET_BEGINNING
        return list(found)

    def _ask_committed(self, sources: list[TopicPartition]) -> list[TopicPartition]:
        found: list[TopicPartition] = self._meta.committed(sources, timeout=30.0)
        for tp in found:
            if tp.error is not None:
                raise KafkaException(tp.error)
        return found

    def _check_births(self) -> None:
        """Refuse a table that is empty although its batches were committed: its changelog is gone."""
        begun = {
            (self._by_topic[tp.topic].name, tp.partition): tp
            for tp in self.fetcher.starts
            if tp.offset != OFFSET_BEGINNING
        }
        for key, task in self._tasks.items():
            if task.store is None or task.store.position:
                continue
            tp = begun.get(key)
            if tp is not None:
                raise StoreError(
                    f"the changelog {task.stage.changelog}[{task.partition}] is empty, but {tp.topic}[{tp.partition}] was processed up to "
                    f"offset {tp.offset}: the changelog was deleted. Bring it back; to begin again without any state, "
                    f"use another TAKK_APP_ID."
                )
            task.is_unborn = True

    def _release(self, task: Task) -> None:
        task.is_closed = True
        if task.stage.table:
            self.stores[task.stage.name].release(task.partition)

    async def settle(self) -> None:
        """Stop dealing and wait until nothing is in flight; past `SETTLE_PATIENCE_S` the tasks left are closed, so that their commit fails."""
        self.generation += 1
        self.is_ready = False
        deadline = time.monotonic() + SETTLE_PATIENCE_S
        for task in self:
            try:
                await asyncio.wait_for(task.lock.acquire(), max(0.1, deadline - time.monotonic()))
            except TimeoutError:
                task.is_closed = True
                self._tasks.pop((task.stage.name, task.partition), None)
            else:
                task.lock.release()

    def close(self) -> None:
        """Give back reader, threads and stores. Afterwards the object is of no more use."""
        self.standbys.close()
        for name, partition in self._copies:
            self.stores[name].release(partition)
        self._threads.shutdown(wait=True)
        self.fetcher.close()
        for key, task in list(self._tasks.items()):
            del self._tasks[key]
            self._release(task)

    # -- processing ----------------------------------------------------------------------------------------------------

    async def batches(self, stream: Any) -> AsyncIterator[Batch]:
        """The batches of a Faust stream as units of work, each with its task's lock held; batches of a past assignment are dropped
        (they are read again from the committed offsets)."""
        async for task, batch, generation in stream:
            await task.lock.acquire()
            task.is_queued = False
            if task.is_closed or generation != self.generation:
                task.lock.release()
                continue
            yield Batch(task, batch, self.clock(), self._meta.consumer_group_metadata(), self._threads)
