"""The task manager: which partitions a worker owns, and how it takes them over and gives them back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any

from confluent_kafka import KafkaException

from streams.runtime import failpoints
from streams.runtime.errors import GroupLeft
from streams.runtime.isolation.isolation import Isolation
from streams.runtime.kafka.cluster import Cluster
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.fetcher import Fetcher
from streams.runtime.processing.preparation import prepared
from streams.runtime.processing.stage import Stage
from streams.runtime.processing.takeover import Takeover
from streams.runtime.processing.task import Task
from streams.runtime.state.standby import Standbys
from streams.runtime.state.store import PartitionStore

#: Threads of a takeover, which wait for the broker.
TAKEOVER_THREADS = 32


class TaskManager:
    """All tasks of one worker process.

    Args:
        app_id: the consumer group, and the prefix of every transactional id.
        kafka: librdkafka settings of the cluster.
        batch_records: the number of records of one read, and of one batch, at most.
        batch_bytes: the number of bytes after which a batch is cut.
        partitions: the number of partitions of every topic; 0 accepts any number that all topics of a stage share.
        clock: the wall clock, in milliseconds since 1970.
    """

    def __init__(
        self,
        app_id: str,
        kafka: Mapping[str, Any],
        *,
        batch_records: int = 8000,
        batch_bytes: int = 16 << 20,
        partitions: int = 0,
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self.app_id = app_id
        self.kafka = dict(kafka)
        self.clock = clock
        #: Counts assignments. A batch of an earlier generation is dropped.
        self.generation: int = 0
        #: Whether all assigned partitions are restored and processed.
        self.is_ready = False
        #: Whether the worker is being stopped. A takeover that runs meanwhile ends early: its tasks may be closed at any moment.
        self.is_stopping = False
        #: The number of partitions that are being taken over: fenced, restored and opened.
        self.restoring = 0
        #: Set whenever a task becomes idle.
        self.idle = asyncio.Event()
        self.stages: dict[str, Stage[Any]] = {}
        self.stores: dict[str, Any] = {}
        self.isolation: Isolation | None = None
        self.on_restore: Callable[[str, int, int], None] = lambda stage, done, total: None
        self.on_restored: Callable[[str, int, float], None] = lambda stage, records, seconds: None
        #: Called with the name of a stage when a damaged store of it was moved away; it is restored from its changelog.
        self.on_quarantine: Callable[[str], None] = lambda stage: None
        #: Called after every assignment, when all partitions are restored and processed.
        self.on_assigned: Callable[[], None] = lambda: None
        cluster = Cluster(self.kafka)
        self.takeover = Takeover(app_id, self.kafka, cluster, partitions)
        self.standbys = Standbys(self.kafka, f"{app_id}-standby", cluster)
        self._followed: set[tuple[str, int]] = set()
        self._member_id, self._group_generation = "", 0
        self._tasks: dict[tuple[str, int], Task[Any]] = {}
        self._by_topic: dict[str, Stage[Any]] = {}
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="takk-commit")
        self.fetcher = Fetcher(
            self.kafka,
            f"{app_id}-reader",
            self._by_topic,
            self._tasks,
            batch_records=batch_records,
            batch_bytes=batch_bytes,
            start_of=lambda topic, partition, position: self.takeover.start_again(
                self._tasks[self.stage_of(topic), partition], topic, partition, position
            ),
        )

    def add(self, stage: Stage[Any]) -> None:
        """Register a stage.

        Raises:
            ValueError: another stage of this worker already reads one of its topics.
        """
        for topic in stage.topics:
            if topic in self._by_topic:
                raise ValueError(f"stages {self._by_topic[topic].name} and {stage.name} both read topic {topic}")
            self._by_topic[topic] = stage
        self.stages[stage.name] = stage

    def stage_of(self, topic: str) -> str:
        """Return the name of the stage that reads `topic`."""
        return self._by_topic[topic].name

    def __iter__(self) -> Iterator[Task[Any]]:
        return iter(list(self._tasks.values()))

    # -- ownership ---------------------------------------------------------------------------------------------------

    async def assign(
        self,
        assigned: set[tuple[str, int]],
        standbys: Iterable[tuple[str, int]] = (),
        member_id: str = "",
        group_generation: int = 0,
    ) -> None:
        """Own exactly the partitions of `assigned`: close the others, then fence, restore and find the offsets of the new ones.

        Args:
            assigned: the (topic, partition) pairs that this worker reads.
            standbys: the (changelog topic, partition) pairs of which it keeps a warm replica.
            member_id: this worker's name in the group. The broker gives a worker that has lost its session another one.
            group_generation: the group's generation, which grows by one with each assignment.

        Raises:
            StoreError, StateError, TopicMismatch, KafkaException: the partitions cannot be taken over; the worker must stop.
        """
        if assigned or standbys:
            await asyncio.to_thread(self.takeover.check_topics, self.stages.values())
        wanted = self.owned(assigned)
        followed = {(s.name, p) for t, p in standbys if (s := self._by_changelog.get(t)) is not None} - wanted
        await asyncio.to_thread(self._follow, self._followed & followed)
        for name, partition in self._followed - followed - wanted:
            self.stores[name].release(partition)
        # Between two memberships, another worker may have owned and fenced any of the tasks. So it may have in an assignment that never
        # reached this worker, because the next rebalance began first.
        is_next = member_id == self._member_id and group_generation - self._group_generation in (0, 1)
        kept = wanted if is_next else set()
        self._member_id, self._group_generation = member_id, group_generation
        for name, partition in set(self._tasks) - kept:
            self._release(self._tasks.pop((name, partition)))
        new = sorted(wanted - set(self._tasks))
        self.restoring = len(new)
        await asyncio.to_thread(self._take_over, new)
        self.restoring = 0
        if not self.is_stopping:
            await asyncio.to_thread(self._follow, followed)
        if self.is_stopping:
            return
        failpoints.reach("tasks.restored")
        keys = {(t, p): (self.stage_of(t), p) for t, p in sorted(assigned) if t in self._by_topic}
        sources = {source: self._tasks[key] for source, key in keys.items() if key in wanted}
        self.fetcher.starts = await asyncio.to_thread(self.takeover.starts, sources)
        if self.isolation is not None:
            starts = [((self.stage_of(tp.topic), tp.partition), tp.topic, tp.offset) for tp in self.fetcher.starts]
            await asyncio.to_thread(self.isolation.attach, self._tasks, starts, self.clock())
        for task in self:
            task.is_queued = False  # batches of the earlier assignment are dropped
        self.generation += 1
        self.is_ready = True
        self.on_assigned()

    def owned(self, assigned: set[tuple[str, int]]) -> set[tuple[str, int]]:
        """Return the (stage name, partition) pairs to own: those for which `assigned` contains the stage's first topic.

        While workers of two versions share a group, an input topic that only the newer ones read is assigned among those alone. A newer worker
        then also gets partitions of it whose task belongs to an older worker.
        """
        return {(s.name, p) for t, p in assigned if (s := self._by_topic.get(t)) is not None and t == s.topics[0]}

    def missing_topics(self, assigned: set[tuple[str, int]]) -> list[str]:
        """Return the topics that are not assigned together with those of their stage, or whose stage has no partitions; empty without any."""
        if not assigned:
            return []
        owned, missing = self.owned(assigned), set()
        for name, stage in self.stages.items():
            partitions = {p for owner, p in owned if owner == name}
            missing |= {t for t in stage.topics if not partitions or any((t, p) not in assigned for p in partitions)}
        return sorted(missing)

    def _follow(self, followed: set[tuple[str, int]]) -> None:
        """Keep warm replicas of exactly these (stage name, partition) pairs."""
        self.standbys.follow(
            {(self.stages[name].changelog, p): self._store(name, p) for name, p in followed},
            self.takeover.ids,
            is_accepted=self.takeover.is_changelog_accepted,
        )
        self._followed = followed

    @property
    def _by_changelog(self) -> dict[str, Stage[Any]]:
        return {stage.changelog: stage for stage in self.stages.values() if stage.table}

    def _take_over(self, wanted: list[tuple[str, int]]) -> None:
        with ThreadPoolExecutor(TAKEOVER_THREADS) as pool:
            fencing = [pool.submit(self.takeover.fence, *key) for key in wanted]
            # Only this process writes to its disk, so a store may be opened before the earlier owners are fenced, but not restored.
            opening = {key: pool.submit(self._store, *key) for key in wanted if self.stages[key[0]].table}
        producers = [future.result() for future in fencing]
        failpoints.reach("tasks.fenced")
        new: dict[str, list[Task[Any]]] = {}
        for key, producer in zip(wanted, producers, strict=True):
            store = opening[key].result() if key in opening else None
            new.setdefault(key[0], []).append(Task(self.stages[key[0]], key[1], producer, store, self.idle))
        with ThreadPoolExecutor(TAKEOVER_THREADS) as pool:
            list(pool.map(self._restore, new.values()))
        for task in chain(*new.values()):
            if self.isolation is not None:
                task.note = self.isolation.note(task.stage.name, task.partition)
            task.open()
            self._tasks[(task.stage.name, task.partition)] = task

    def _restore(self, tasks: list[Task[Any]]) -> None:
        """Restore the stores of one stage's tasks."""
        stage, started = tasks[0].stage, time.monotonic()
        if stage.table:
            stores = {task.partition: task.store for task in tasks if task.store is not None}
            records = self.takeover.restore(stage, stores, partial(self.on_restore, stage.name))
            self.on_restored(stage.name, records, time.monotonic() - started)

    def _store(self, name: str, partition: int) -> PartitionStore:
        store: PartitionStore = self.stores[name].partition(partition)
        if store.is_quarantined:
            store.is_quarantined = False
            self.on_quarantine(name)
        return store

    def _release(self, task: Task[Any]) -> None:
        task.is_closed = True
        if task.note is not None:
            task.note.close()
            task.note = None
        if task.stage.table:
            self.stores[task.stage.name].release(task.partition)

    async def drain(self) -> None:
        """Stop handing out batches, and wait until none is in flight.

        After its `Stage.drain_timeout_s` a remaining task is closed, so that its commit fails. Within the same time, what a stage has on its
        way outside of batches is waited for, and then left. Heartbeats continue meanwhile.
        """
        self.generation += 1
        self.is_ready = False
        started = time.monotonic()
        for task in self:
            left_s = started + task.stage.drain_timeout_s - time.monotonic()
            try:
                await asyncio.wait_for(task.lock.acquire(), max(0.1, left_s))
            except TimeoutError:
                task.is_closed = True
                self._tasks.pop((task.stage.name, task.partition), None)
            else:
                task.lock.release()
        for task in self:
            if task.stage.drain is not None:
                left_s = started + task.stage.drain_timeout_s - time.monotonic()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(task.stage.drain(task.context), max(0.0, left_s))

    def close(self) -> None:
        """Close the fetcher, the threads and the stores. The task manager cannot be used afterwards."""
        self.standbys.close()
        for name, partition in self._followed:
            self.stores[name].release(partition)
        self._threads.shutdown(wait=True)
        self.fetcher.close()
        for key, task in list(self._tasks.items()):
            del self._tasks[key]
            self._release(task)

    # -- processing --------------------------------------------------------------------------------------------------

    async def batches(self, stream: Any) -> AsyncIterator[Batch[Any]]:
        """Yield the batches of a Faust stream, each with its task's lock held.

        Batches of an earlier assignment are dropped. Their records are read again from the committed offsets.
        """
        async for task, records, generation in prepared(stream):
            await task.lock.acquire()
            task.is_queued = False
            if self.isolation is not None and task.crashes is not None and task.crashes.is_suspect(records):
                await self.isolation.until_alone(task, self)
            if task.is_closed or generation != self.generation:
                task.lock.release()
                continue
            if 0 < self.takeover.idle_limit_s < task.idle_s:
                try:
                    await asyncio.to_thread(self.takeover.renew, task)
                except (GroupLeft, KafkaException) as error:
                    task.stage.on_fatal(task.stage.name, task.partition, error)
                    raise
            yield Batch(task, records, self.clock(), self.takeover.group_metadata(), self._threads)
