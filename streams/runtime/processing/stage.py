"""The description of a stage: what one agent reads, the table it keeps, and its callbacks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.state.store import PartitionStore

#: Seconds that giving back partitions may take: less than Kafka's default session timeout of 45 s.
DRAIN_TIMEOUT_S = 12.0
#: Seconds that a partition rests after a small batch, at least. A record that arrives later than that does not wait.
PACE_S = 0.1
#: The type of `Task.context`: the objects that a stage keeps per partition, such as its timers.
S = TypeVar("S")


class FinishedBatch(Protocol):
    """The part of a batch that `Stage.on_done` may read.

    Attributes:
        partition: the partition number.
        records: the records of the batch.
        read, sent: the number of records per topic that were read and published.
        started, computed: when processing started and when the commit was requested, in seconds of `time.perf_counter`.
        committed: the outcome of the commit; None if nothing had to be committed.
    """

    partition: int
    records: Sequence[Any]
    read: dict[str, int]
    sent: Counter[str]
    started: float
    computed: float
    committed: asyncio.Future[None] | None


def identity(value: Any) -> Any:
    """Return `value`: the codec of a table of bytes."""
    return value


def no_context(partition: int, store: PartitionStore) -> Any:
    """Return None: the context of a stage that keeps nothing per partition."""
    return None


@dataclass(kw_only=True)
class Stage(Generic[S]):
    """The description of one agent.

    Attributes:
        name: the agent's name. It is part of its transactional ids and its label in metrics.
        topics: co-partitioned topics. Partition n of each is read by the same task.
        dead_letter: return the dead letter of an invalid record: (record, reason, detail, now in ms).
        table: the name of its table, or None.
        encode, decode: convert between a value of the table and bytes.
        is_too_new: errors of `decode` that mean that a newer worker wrote the value. They stop this worker, since no record is at fault.
        journal: return one record per committed batch that names its input: (partition, now in ms, topic -> (first offset, last offset),
            number of records).
        open: return `Task.context`, from the partition number and its restored store. Called once per task, before its first batch, if the
            stage has a table.
        is_due: whether a task must run although it has nothing to read, because a timer is due: (context, now in ms). Called often, so it
            must be cheap.
        prepare: return an awaitable that loads what the records need before they can be decoded, or None if nothing is missing. The partition
            waits for it, without limit; other partitions do not.
        on_misrouted: called with each record that is published again under its right key.
        on_failure: called with each record for which the handler itself failed, and the error.
        on_fatal: called when a commit failed: (stage name, partition, error).
        on_done: called when a batch ended, committed or not.
        limits: topic -> bytes of a record that it accepts. All other topics accept `DEFAULT_TOPIC_BYTES`.
        pace_s: seconds from the end of a small batch of a partition to its next one, at least. A stage whose output nobody waits for saves
            transactions with it. A due timer does not wait.
        drain_timeout_s: seconds that its batches in flight, and then `drain`, may take to end before their partition is given back.
        drain: return an awaitable that ends when nothing of a partition is on its way outside of batches, or None if nothing ever is.
        changelog: the table's changelog topic, set by `App.stage`.
    """

    name: str
    topics: tuple[str, ...]
    dead_letter: Callable[[Any, str, str, int], ProducerRecord]
    table: str | None = None
    encode: Callable[[Any], bytes] = identity
    decode: Callable[[bytes], Any] = identity
    is_too_new: type[Exception] | tuple[type[Exception], ...] = ()
    journal: Callable[[int, int, Mapping[str, tuple[int, int]], int], ProducerRecord] | None = None
    open: Callable[[int, PartitionStore], S] = no_context
    is_due: Callable[[S, int], bool] | None = None
    prepare: Callable[[Sequence[Any]], Awaitable[None] | None] | None = None
    on_misrouted: Callable[[Any], None] = lambda record: None
    on_failure: Callable[[Any, Exception], None] = lambda record, error: None
    on_fatal: Callable[[str, int, Exception], None] = lambda stage, partition, error: None
    on_done: Callable[[FinishedBatch], None] = lambda batch: None
    limits: dict[str, int] = field(default_factory=dict)
    pace_s: float = PACE_S
    drain_timeout_s: float = DRAIN_TIMEOUT_S
    drain: Callable[[S], Awaitable[None]] | None = None
    changelog: str = ""
