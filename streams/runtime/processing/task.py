"""A task: one stage's work on one partition."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic

from confluent_kafka import KafkaError, Producer, TopicPartition

from streams.runtime.errors import StateError
from streams.runtime.isolation.crashes import Crashes
from streams.runtime.isolation.note import CrashNote
from streams.runtime.processing.stage import S, Stage
from streams.runtime.state.offsets import META, decode_ids, decode_offsets, encode_offsets
from streams.runtime.state.store import PartitionStore

#: A batch of as many records is large: its work costs more than its transaction.
LARGE_BATCH = 500
#: Seconds that a task rests after a small batch that took as long or longer. It rests for at least the pace of its stage.
MAX_REST_S = 0.2


class Task(Generic[S]):
    """One stage's work on one partition: its transactional producer, its store, and a lock that orders its batches.

    The lock is held from the start of a batch until its commit is on disk. A partition therefore has one writer, and whoever holds all
    locks knows that no batch is in flight.

    Args:
        stage: the stage.
        partition: the partition number.
        producer: a producer whose transactions are initialized; earlier owners of the partition are fenced.
        store: the open store of the partition, or None if the stage has no table.
        idle: an event to set whenever the lock is released.
    """

    #: The objects that the stage keeps for this partition; set by `open`.
    context: S

    def __init__(
        self,
        stage: Stage[S],
        partition: int,
        producer: Producer,
        store: PartitionStore | None,
        idle: asyncio.Event | None = None,
    ) -> None:
        self.stage = stage
        self.partition = partition
        self.producer = producer
        self.store = store
        self.idle = idle
        self.lock = asyncio.Lock()
        self.is_closed = False
        #: Whether a batch was handed out that no agent has started yet.
        self.is_queued = False
        #: The records of the current batch, while it is queued or the lock is held.
        self.records: Sequence[Any] = ()
        #: The number of records whose batches were committed.
        self.committed_records = 0
        self.failures_in_a_row = 0
        #: Until when records wait for its next batch, in seconds of the monotonic clock.
        self.rests_until = float("-inf")
        #: When its transactional id was last used, in seconds of the monotonic clock and of the wall clock. Only the latter advances while
        #: the machine sleeps.
        self._used = time.monotonic(), time.time()
        #: The offset of the newest changelog record, or -1.
        self.changelog_offset = -1
        #: Why the newest changelog record that asked for a delivery report was not delivered, or None.
        self.delivery_error: KafkaError | None = None
        #: Where the records are noted while they are computed; None if they are not.
        self.note: CrashNote | None = None
        #: The crashes at offsets that this task has still to process.
        self.crashes: Crashes | None = None
        #: The source offsets that the state contains: topic -> the offset of the next record. Each commit stores them.
        self.offsets: dict[str, int] = {}
        #: The id of each of these topics, if it is known: a recreated topic has another one.
        self.topic_ids: dict[str, str] = {}
        #: Whether the store has them. A store of an older version has none before the first commit.
        self.knows_offsets = False
        #: The id of the cluster that has these offsets.
        self.cluster = ""
        #: Lost records that no commit covers yet: see `note_lost`. The thread of the reader appends to it.
        self._lost: deque[tuple[str, int, Callable[[], None]]] = deque()

    def open(self) -> None:
        """Set `context`, if the stage has a table. The store must be restored.

        Raises:
            StateError: the stored state cannot be read or decoded.
            Exception: one of `Stage.is_too_new`.
        """
        if self.store is None:
            return
        try:
            self.context = self.stage.open(self.partition, self.store)
        except StateError:
            raise
        except self.stage.is_too_new:
            raise
        except Exception as error:
            reason = f"the state of {self.stage.name}[{self.partition}] cannot be decoded: {type(error).__name__}"
            self.store.mark_damaged(reason)
            raise StateError(reason) from error

    def on_delivery(self, error: KafkaError | None, message: Any) -> None:
        """Note the offset of a batch's last changelog record: it is the store's new position. One delivery report per batch is cheap."""
        self.delivery_error = error
        if error is None:
            self.changelog_offset = message.offset()

    def note_committed(self, records: int, seconds: float, now: float) -> None:
        """Count the records of a batch, and rest after a small one, so that the next one has more records.

        A transaction costs the same for one record as for hundreds. On a busy machine it takes longer, and so does the rest: the fewer
        transactions leave time for everything else.

        Args:
            records: the number of records of the batch.
            seconds: how long the batch took, including its commit.
            now: seconds of the monotonic clock.
        """
        self.committed_records += records
        if 0 < records < LARGE_BATCH:
            self.rests_until = now + max(self.stage.pace_s, min(seconds, MAX_REST_S))

    def touch(self) -> None:
        """Note that the transactional id was used."""
        self._used = time.monotonic(), time.time()

    @property
    def idle_s(self) -> float:
        """The seconds since its transactional id was used."""
        return max(time.monotonic() - self._used[0], time.time() - self._used[1])

    def learn_offsets(self, cluster: str) -> None:
        """Read the source offsets of a restored store, unless this task has committed since.

        Args:
            cluster: the id of the cluster. Offsets of another one are ignored.
        """
        if self.store is not None and not self.knows_offsets:
            raw = self.store.meta(META)
            offsets = decode_offsets(raw, cluster)
            self.knows_offsets = offsets is not None
            self.offsets = offsets or {}
            self.topic_ids = decode_ids(raw) if offsets else {}
        self.cluster = cluster

    def skip_to(self, topic: str, offset: int) -> None:
        """Note that `topic` is read from `offset`, whatever was read before, so that a restart does not return."""
        self.offsets[topic] = offset
        if self.store is not None:
            self.store.write({}, None, {META: self.encode_offsets({})})

    def note_lost(self, topic: str, start: int, count: Callable[[], None]) -> None:
        """Let the commit that covers lost records count them: until then, another owner of the partition would find and count them too.

        Args:
            topic: the topic.
            start: the offset of the first record that is left.
            count: counts the lost records.
        """
        self._lost.append((topic, start, count))

    def forget_lost(self) -> None:
        """Count no lost records that are not committed: a takeover looks for them again."""
        self._lost.clear()

    def count_lost(self, sources: Sequence[TopicPartition]) -> None:
        """Count the lost records that a commit covers. `sources` are its offsets."""
        if not self._lost:
            return
        committed = {source.topic: source.offset for source in sources}
        for _ in range(len(self._lost)):
            topic, start, count = lost = self._lost.popleft()
            if committed.get(topic, -1) >= start:
                count()
            else:
                self._lost.append(lost)

    def encode_offsets(self, read: dict[str, int]) -> bytes:
        """Return the offsets as a commit stores them, after that of each topic in `read`."""
        return encode_offsets(self.cluster, self.offsets | read, self.topic_ids)
