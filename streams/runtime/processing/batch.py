"""The checkpoint: everything that one batch reads, changes and says becomes true in one Kafka transaction, or nothing of it.

The order of one commit, and why it is safe to die between any two steps:

1. outputs and one changelog record per changed key were produced in the transaction while the batch was computed;
2. the source offsets are added to it (`send_offsets_to_transaction`, KIP-98, KIP-447);
3. the transaction commits: from here on a new owner sees all of it; died before, it sees none of it and reads the batch again;
4. one RocksDB batch stores the changed values with the changelog position: died before, the restore replays the changelog from
   the older position. RocksDB is never ahead of the changelog.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from confluent_kafka import TopicPartition

from streams.runtime import failpoints
from streams.runtime.errors import CommitTimeout, InvalidRecord, Misrouted, PartitionRevoked, TooManyFailures
from streams.runtime.kafka.producer_record import Headers, ProducerRecord
from streams.runtime.processing.commit import cluster_answers, patiently
from streams.runtime.processing.task import Task

T = TypeVar("T")

#: Seconds after which a commit that neither ends nor fails is looked at: if the cluster answers meanwhile, the commit hangs and is given
#: up. librdkafka can wait for ever for a group coordinator that has left the cluster, whatever limit it is given (its issues 5456, 5511).
COMMIT_LIMIT_S = 15.0
#: Records that one after another may break the rules' own code (not their own form) before the partition stops: then it is the
#: code that is wrong, and moving every customer's records to dead-letters would be the larger harm.
BROKEN_IN_A_ROW = 100
#: Key of the deletion that a partition's first commit writes to its changelog: an empty changelog then means that nothing was ever
#: committed, and one that is empty although offsets were committed has been lost.
BIRTH = b""


class Batch:
    """One batch on its way through an agent.

    The agent reads `records`, reads and writes the table by `get` and `put`, says things by `send`, and ends with `commit`.
    Nothing of it is visible to anyone before the commit.
    """

    def __init__(
        self, task: Task, records: Sequence[Any], now_ms: int, metadata: Any, executor: ThreadPoolExecutor
    ) -> None:
        self.task = task
        self.partition = task.partition
        # One topic after the other, in the stage's order: with the journal, the order of every decision can be found again.
        ranks = {topic: rank for rank, topic in enumerate(task.stage.topics)}
        self.records = sorted(records, key=lambda r: ranks[r.topic()]) if len(ranks) > 1 else records
        self.now_ms = now_ms
        self._stage = task.stage
        self._metadata = metadata
        self._executor = executor
        self._view: dict[bytes, Any] = {}
        self._changed: dict[bytes, None] = {}
        self._meta: dict[bytes, bytes] = {}
        self._begun = False
        self._produce = task.producer.produce
        self.sent: Counter[str] = Counter()
        self.read: dict[str, int] = {}
        self.started = self.computed = time.perf_counter()
        self.committed: asyncio.Future[None] | None = None

    # -- the table ---------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Any:
        """The value under `key` as this batch sees it (its own writes included), or None."""
        view = self._view
        if key in view:
            return view[key]
        store = self.task.store
        if store is None:
            raise LookupError(f"agent {self._stage.name} has no table")
        raw = store.get(key)
        value = view[key] = None if raw is None else self._stage.decode(raw)
        return value

    def put(self, key: bytes, value: Any) -> None:
        """Set (None: delete) the value under `key`; on disk and in the changelog with the commit."""
        self._view[key] = value
        self._changed[key] = None

    def put_meta(self, key: bytes, value: bytes) -> None:
        """Set a value that is stored with the position in this partition's store, outside the changelog."""
        self._meta[key] = value

    # -- outputs -----------------------------------------------------------------------------------------------------

    def send(self, topic: str, key: bytes, value: bytes | None, headers: Headers | None = None) -> None:
        """Publish a record with the commit."""
        if not self._begun:
            self._begin()
        self.sent[topic] += 1
        try:
            if headers:
                self._produce(topic, value, key, headers=headers)
            else:
                self._produce(topic, value, key)
        except BufferError:
            self._produce_patiently(topic, value, key, headers=headers or [])

    def each(self, handle: Callable[[Any, Batch], tuple[bytes | None, Any, Iterable[ProducerRecord]]]) -> None:
        """Call `handle(record, unit) -> (key, new value, outputs)` for every record in order and take over what it returns.

        A key of None means that no state changed. A record whose handler raises leaves no trace but a dead letter: `InvalidRecord` carries
        its own reason, `Moved` publishes the record again where it belongs, any other exception is the code's own fault and counts
        towards `BROKEN_IN_A_ROW`.

        Raises:
            TooManyFailures: the handler itself failed for too many records in a row.
            Exception: what the stage calls too new (`Stage.is_too_new`).
        """
        task, put, send = self.task, self.put, self.send
        for record in self.records:
            try:
                key, value, outputs = handle(record, self)
            except Exception as error:  # noqa: BLE001 - not swallowed: `_refuse` makes it a dead letter, or raises
                self._refuse(record, error)
                continue
            task.broken_in_a_row = 0
            if key is not None:
                put(key, value)
            for output in outputs:
                send(*output)

    def taken(self, handle: Callable[[Any], T]) -> Iterator[T]:
        """What `handle` makes of each record, in order; failures are treated as in `each`."""
        task = self.task
        for record in self.records:
            try:
                result = handle(record)
            except Exception as error:  # noqa: BLE001 - not swallowed: `_refuse` makes it a dead letter, or raises
                self._refuse(record, error)
                continue
            task.broken_in_a_row = 0
            yield result

    def _refuse(self, record: Any, error: Exception) -> None:
        """Send a record whose handler raised to where it belongs, or to the dead letters."""
        task, stage = self.task, self._stage
        if isinstance(error, stage.is_too_new):
            raise error
        if isinstance(error, Misrouted):
            stage.on_moved(record)
            self.send(record.topic(), error.key, record.value(), record.headers() or [])
        elif isinstance(error, InvalidRecord):
            self.send(*stage.dead_letter(record, error.reason, error.detail, self.now_ms))
        else:
            task.broken_in_a_row += 1
            stage.on_failure(record, error)
            if task.broken_in_a_row >= BROKEN_IN_A_ROW:
                raise TooManyFailures(
                    f"{stage.name} failed for {BROKEN_IN_A_ROW} records in a row on partition {self.partition}; "
                    f"the last: {type(error).__name__}. Nothing is lost: fix the rules or the code and start again."
                ) from error
            self.send(*stage.dead_letter(record, "failed", type(error).__name__, self.now_ms))

    # -- the commit --------------------------------------------------------------------------------------------------

    async def checkpoint(self) -> None:
        """Commit what the unit changed and said so far, *without* the source offsets, and wait for it.

        Afterwards it is in Kafka and on disk while the batch still counts as unread: the mailer's marker before a send.
        """
        await self._run(self._changelog(), [])

    async def commit(self) -> None:
        """Hand the unit to a thread that commits it; returns at once, so that another partition computes meanwhile.

        An error in the commit ends the process (`stage.on_fatal`): a restart begins at the last commit.

        Raises:
            Revoked: the partition was taken away; nothing was committed.
        """
        self.computed = time.perf_counter()
        if self.task.is_closed:
            raise PartitionRevoked(f"partition {self.partition} of {self._stage.name}")
        offsets: dict[str, tuple[int, int]] = {}
        start, count = 0, len(self.records)
        while start < count:  # the records lie topic by topic, each in the order of its offsets
            topic = self.records[start].topic()
            end = count if self.records[-1].topic() == topic else start + 1
            while end < count and self.records[end].topic() == topic:
                end += 1
            offsets[topic] = (self.records[start].offset(), self.records[end - 1].offset())
            self.read[topic] = end - start
            start = end
        if self.records and self._stage.journal is not None:
            self.send(*self._stage.journal(self.partition, self.now_ms, offsets, len(self.records)))
        sources = [TopicPartition(topic, self.partition, last + 1) for topic, (_, last) in offsets.items()]
        changes = self._changelog()
        if not sources and not self._begun and not self._meta:
            self._finish()
            return
        self.committed = asyncio.ensure_future(self._run(changes, sources))
        self.committed.add_done_callback(lambda _: self._finish())

    async def done(self) -> None:
        """Wait until the commit has reached the disk."""
        if self.committed is not None:
            await self.committed

    def abandon(self) -> None:
        """Give the unit up: abort what was produced and free the partition."""
        if self._begun:
            self._begun = False
            self.task.producer.abort_transaction(10.0)
        self._finish()

    async def _run(self, changes: dict[bytes, bytes | None], sources: list[TopicPartition]) -> None:
        work = asyncio.get_running_loop().run_in_executor(self._executor, self._commit, changes, sources)
        try:
            while not (await asyncio.wait({work}, timeout=COMMIT_LIMIT_S))[0]:
                if await asyncio.to_thread(cluster_answers, self.task.producer) and not work.done():
                    raise CommitTimeout("the cluster answers, but a commit does not end")
            work.result()
        except Exception as error:
            self._stage.on_fatal(self.task, error)
            raise

    def _finish(self) -> None:
        self.task.batch = ()
        done = self.committed
        if done is not None and not done.cancelled() and done.exception() is None:
            self.task.taken += len(self.records)
        if self.task.lock.locked():
            self.task.lock.release()
        if self.task.freed is not None:
            self.task.freed.set()
        self._stage.on_done(self)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self.task.producer.begin_transaction()

    def _produce_patiently(self, topic: str, value: bytes | None, key: bytes, **more: Any) -> None:
        while True:
            # The producer's queue is full: serving it is what makes room, and nothing else may run before it has.
            self.task.producer.poll(0.05)
            with contextlib.suppress(BufferError):
                self._produce(topic, value, key, **more)
                return

    def _changelog(self) -> dict[bytes, bytes | None]:
        """Produce one changelog record per changed key and give back what the store is to write."""
        if self.task.is_unborn:
            self.task.is_unborn = False
            self.put(BIRTH, None)
        if not self._changed:
            return {}
        self._begin()
        stage, view, partition = self._stage, self._view, self.partition
        topic, encode, produce = stage.changelog, stage.encode, self._produce
        last_report: dict[str, Any] = {"on_delivery": self.task.produced}
        changes: dict[bytes, bytes | None] = {}
        last = len(self._changed) - 1
        for index, key in enumerate(self._changed):
            value = view[key]
            raw = changes[key] = None if value is None else encode(value)
            report = last_report if index == last else {}
            try:
                produce(topic, raw, key, partition=partition, **report)
            except BufferError:
                self._produce_patiently(topic, raw, key, partition=partition, **report)
        self._changed = {}
        return changes

    def _commit(self, changes: dict[bytes, bytes | None], sources: list[TopicPartition]) -> None:
        producer, task = self.task.producer, self.task
        # A transaction without source offsets is the mailer's marker, or the scheduler's sweep.
        edge = f"{self._stage.name}.{'' if sources else 'marker_'}"
        failpoints.reach(f"{edge}produced")
        if sources or self._begun:
            if not self._begun:
                producer.begin_transaction()
            if sources:
                patiently(lambda: producer.send_offsets_to_transaction(sources, self._metadata))
            failpoints.reach(f"{edge}offsets")
            patiently(producer.commit_transaction)
            self._begun = False
        failpoints.reach(f"{edge}committed")
        meta, self._meta = self._meta, {}
        if task.store is not None and (changes or meta):
            position = task.changelog_offset + 1 if changes else None
            task.store.write(changes, position, meta)
        failpoints.reach(f"{edge}stored")
