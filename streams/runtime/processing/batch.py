"""A batch: everything that it reads, changes and publishes takes effect in one Kafka transaction, or not at all.

The steps of one commit, and why the process may die between any two of them:

1. Outputs and one changelog record per changed key are produced in the transaction while the batch is computed.
2. The source offsets are added to it (`send_offsets_to_transaction`, KIP-98, KIP-447).
3. The transaction commits. From here on a new owner sees all of it. If the process dies earlier, a new owner sees none of it and reads
   the batch again.
4. One RocksDB batch stores the changed values with the changelog position. If the process dies earlier, the restore replays the changelog
   from the older position. RocksDB is never ahead of the changelog.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Generic, TypeVar

from confluent_kafka import TopicPartition

from streams.runtime import failpoints
from streams.runtime.errors import CommitTimeout, PartitionRevoked, StateError
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.processing.commit import cluster_answers, offset_ranges
from streams.runtime.processing.guard import Changes, Guard
from streams.runtime.processing.stage import S
from streams.runtime.processing.task import Task
from streams.runtime.processing.transaction import NOT_ENCODED, Transaction
from streams.runtime.state.offsets import META

T = TypeVar("T")

#: Seconds after which a commit that neither succeeds nor fails is checked. If the cluster answers meanwhile, the commit hangs and is given
#: up: librdkafka can wait without limit for a group coordinator that has left the cluster, whatever timeout it has (its issues 5456, 5511).
COMMIT_TIMEOUT_S = 15.0
#: Key of the tombstone that a commit without changes writes to the changelog, for its header with the source offsets. A changelog that is
#: empty although offsets were committed has therefore been lost. The record has no value: older workers would take that for an entry.
CHANGELOG_MARKER = b""


class Batch(Generic[S]):
    """Some records of one partition, on their way through an agent.

    The agent reads `records`, reads and writes the table with `get` and `put`, publishes records with `send`, and ends with `commit`.
    Nothing is visible to others before the commit.

    Args:
        task: the task; its lock is held.
        records: the records, each topic's in the order of its offsets.
        now_ms: the batch's time, in milliseconds since 1970.
        metadata: the consumer group's metadata for `send_offsets_to_transaction`.
        executor: threads that commit.
    """

    def __init__(
        self, task: Task[S], records: Sequence[Any], now_ms: int, metadata: Any, executor: ThreadPoolExecutor
    ) -> None:
        self.task = task
        self.partition = task.partition
        # One topic after the other, in the stage's order. Together with the journal this makes the order of all decisions reproducible.
        ranks = {topic: rank for rank, topic in enumerate(task.stage.topics)}
        self.records = sorted(records, key=lambda r: ranks[r.topic()]) if len(ranks) > 1 else records
        self.now_ms = now_ms
        self._stage = task.stage
        self._metadata = metadata
        self._executor = executor
        #: Key -> value, of the values that were read or changed.
        self.values: dict[bytes, Any] = {}
        #: Key -> the bytes of the changed value (None: deleted), or `NOT_ENCODED`.
        self.changed: dict[bytes, Any] = {}
        self._meta: dict[bytes, bytes] = {}
        #: Changes that the broker has in the open transaction, but the store has not.
        self._acknowledged: dict[bytes, bytes | None] = {}
        self._transaction = Transaction(task)
        #: Called for every output: an attribute saves a call.
        self.send = self._transaction.send
        #: Topic -> the number of records sent to it.
        self.sent = self._transaction.sent
        #: Topic -> (first offset, last offset) of the records, and topic -> the number of records.
        self.offsets, self.read = offset_ranges(self.records)
        self.started = self.computed = time.perf_counter()
        self.committed: asyncio.Future[None] | None = None

    # -- the table ---------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Any:
        """Return the value under `key`, or None. The batch's own writes are included.

        Raises:
            StateError: the value cannot be read or decoded. The process must end; the next start restores the store.
            Exception: one of `Stage.is_too_new`.
        """
        values = self.values
        if key in values:
            return values[key]
        store = self.task.store
        if store is None:
            raise LookupError(f"stage {self._stage.name} has no table")
        raw = store.get(key)
        try:
            value = values[key] = None if raw is None else self._stage.decode(raw)
        except self._stage.is_too_new:
            raise
        except Exception as error:
            reason = f"a value of {self._stage.changelog}[{self.partition}] cannot be decoded: {type(error).__name__}"
            store.mark_damaged(reason)
            raise StateError(reason) from error
        return value

    def put(self, key: bytes, value: Any) -> None:
        """Set the value under `key`; None deletes it. The commit writes it to the changelog and to disk."""
        self.values[key] = value
        self.changed[key] = NOT_ENCODED

    def put_encoded(self, key: bytes, raw: bytes | None) -> None:
        """Like `put`, for an entry that the stage's codec does not know. `get` does not see it."""
        self.changed[key] = raw

    def put_meta(self, key: bytes, value: bytes) -> None:
        """Set a value that the commit stores beside the position in this partition's store. It is not part of the changelog."""
        self._meta[key] = value

    def only_with_commit(self) -> AbstractContextManager[None]:
        """Publish what is sent in this context with `commit`, and with no `checkpoint`.

        The records of a checkpoint are read again if the batch does not end. Output of a record alone, such as its dead letter, would
        then be published twice.
        """
        return self._transaction.only_with_commit()

    def apply(self, handler: Callable[[Any, Batch[S]], tuple[bytes | None, Any, Sequence[ProducerRecord]]]) -> None:
        """Call `handler(record, batch)` for every record in order, and put and send what it returns: (key, new value, outputs).

        A key of None means that no state changed. A record that is not accepted changes nothing and publishes nothing but its dead letter:
        with the reason of `InvalidRecord`, with `too_large` if its state or an output does not fit into its topic, and with `failed` after
        any other exception, which counts towards `MAX_FAILURES_IN_A_ROW`. `Misrouted` publishes it again under the right key.

        Raises:
            TooManyFailures: the handler failed for too many records in a row.
            RegistryUnavailable: the schema of a record could not be loaded.
            StateError: stored state cannot be read or decoded.
            Exception: one of `Stage.is_too_new`.
        """
        Guard(self).apply(handler)

    def apply_changes(self, handler: Callable[[Any, Changes], Sequence[ProducerRecord]]) -> None:
        """Like `apply`, for a record that changes several keys: call `handler(record, changes)` and send what it returns."""
        Guard(self).apply_changes(handler)

    def decode(self, parse: Callable[[Any], T]) -> Iterator[T]:
        """Yield `parse(record)` for every record in order. Errors are treated as in `apply`."""
        return Guard(self).decode(parse)

    # -- the commit --------------------------------------------------------------------------------------------------

    async def checkpoint(self) -> None:
        """Commit the changes and outputs so far *without* the source offsets, and wait for it.

        Afterwards they are in Kafka and on disk while the batch still counts as unread.

        Raises:
            PartitionRevoked: the partition was revoked; nothing was committed.
        """
        self._check_owned()
        await self._run(self._commit, self._produce_changelog([]), [])

    @property
    def has_uncommitted(self) -> bool:
        """Whether the batch has an open transaction. The broker aborts one that is open for `TRANSACTION_TIMEOUT_MS`."""
        return self._transaction.is_open

    async def acknowledge(self) -> None:
        """Produce the changes so far in the open transaction, and wait until the broker has them.

        A later owner of the partition finds them at the end of the changelog, committed or not: see `state/uncommitted.py`. It has fenced
        this task's producer before it looks (KIP-98), and the broker acknowledges nothing of a fenced producer. This costs one request,
        and a commit costs several.

        Raises:
            PartitionRevoked: the partition was revoked.
        """
        self._check_owned()
        self._acknowledged |= self._produce_changelog([])
        await self._run(self._transaction.flush)

    def _check_owned(self) -> None:
        if self.task.is_closed:
            raise PartitionRevoked(f"partition {self.partition} of {self._stage.name}")

    async def commit(self) -> None:
        """Let a thread commit the batch, and return at once, so that another partition can compute meanwhile.

        An error in the commit ends the process (`Stage.on_fatal`). A restart resumes after the last commit.

        Raises:
            PartitionRevoked: the partition was revoked; nothing was committed.
        """
        self.computed = time.perf_counter()
        self._check_owned()
        self._transaction.send_last()
        if self.records and self._stage.journal is not None:
            self.send(*self._stage.journal(self.partition, self.now_ms, self.offsets, len(self.records)))
        sources = [TopicPartition(topic, self.partition, last + 1) for topic, (_, last) in self.offsets.items()]
        changes = self._produce_changelog(sources)
        if not sources and not self._transaction.is_open and not self._meta:
            self._finish()
            return
        self.committed = asyncio.ensure_future(self._run(self._commit, changes, sources))
        self.committed.add_done_callback(lambda _: self._finish())

    async def done(self) -> None:
        """Wait until the commit is on disk."""
        if self.committed is not None:
            await self.committed

    async def abandon(self) -> None:
        """Abort the transaction and release the task, unless `commit` has already begun: then it releases the task when it ends.

        Raises:
            KafkaException: the transaction cannot be aborted within `ABORT_TIMEOUT_S`.
        """
        if self.committed is not None:
            return
        try:
            # An open transaction of a revoked partition is the next owner's to abort: this producer may be fenced already.
            if self._transaction.is_open and not self.task.is_closed:
                await asyncio.get_running_loop().run_in_executor(self._executor, self._transaction.abort)
        finally:
            self._transaction.is_open = False
            self._finish()

    async def _run(self, call: Callable[..., None], *arguments: Any) -> None:
        run = partial(asyncio.get_running_loop().run_in_executor, self._executor)
        try:
            if self._transaction.has_held:
                await run(self._transaction.produce_held)
            work = run(call, *arguments)
            while not (await asyncio.wait({work}, timeout=COMMIT_TIMEOUT_S))[0]:
                if await asyncio.to_thread(cluster_answers, self.task.producer) and not work.done():
                    raise CommitTimeout("a commit does not complete although the cluster answers")
            work.result()
        except Exception as error:
            if self.task.is_closed:
                # The next owner has fenced the producer, as it must.
                raise PartitionRevoked(f"partition {self.partition} of {self._stage.name}") from error
            spans = [f"{topic}[{self.partition}] {first} to {last}" for topic, (first, last) in self.offsets.items()]
            error.add_note(f"offsets of the batch: {', '.join(spans) or 'none'}")
            self._stage.on_fatal(self._stage.name, self.partition, error)
            raise

    def _finish(self) -> None:
        self.task.records = ()
        commit = self.committed
        if commit is not None and not commit.cancelled() and commit.exception() is None:
            self.task.note_committed(len(self.records), time.perf_counter() - self.started, time.monotonic())
        if self.task.lock.locked():
            self.task.lock.release()
        if self.task.idle is not None:
            self.task.idle.set()
        self._stage.on_done(self)

    def _produce_changelog(self, sources: list[TopicPartition]) -> dict[bytes, bytes | None]:
        """Produce one changelog record per changed key, the last one with the offsets, and return the changes for the store."""
        task = self.task
        if task.store is None:
            return {}
        if sources and not self.changed:
            self.put(CHANGELOG_MARKER, None)
        changes, self.changed = self.changed, {}
        if not changes:
            return {}
        offsets = task.encode_offsets({tp.topic: tp.offset for tp in sources})
        self._meta[META] = offsets
        self._transaction.produce_changes(changes, self.values, offsets)
        return changes

    def _commit(self, changes: dict[bytes, bytes | None], sources: list[TopicPartition]) -> None:
        task = self.task
        # A transaction without source offsets is the mailer's marker, or a sweep of the scheduler.
        prefix = f"{self._stage.name}.{'' if sources else 'marker_'}"
        failpoints.reach(f"{prefix}produced")
        if sources or self._transaction.is_open:
            self._transaction.commit(sources, self._metadata, prefix)
            task.offsets.update({tp.topic: tp.offset for tp in sources})
            task.knows_offsets = True
            task.touch()
            task.count_lost(sources)
        failpoints.reach(f"{prefix}committed")
        meta, self._meta = self._meta, {}
        changes = self._acknowledged | changes
        self._acknowledged = {}
        # The store of a task that was closed during the commit may have a new owner, which has read the changes from the changelog.
        if task.store is not None and (changes or meta) and not task.is_closed:
            position = task.changelog_offset + 1 if changes else None
            task.store.write(changes, position, meta)
        failpoints.reach(f"{prefix}stored")
