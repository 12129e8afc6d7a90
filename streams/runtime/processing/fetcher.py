"""The fetcher: reads the records of the assigned partitions and collects one batch per idle task."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.runtime.kafka.client_config import consumer_config
from streams.runtime.processing.stage import Stage
from streams.runtime.processing.task import LARGE_BATCH, Task

#: Bytes that the broker collects before it answers the reader, and milliseconds after which it answers with fewer. Otherwise it would answer
#: with each transaction of each producer, and an answer costs it as much as some records.
FETCH_BYTES, FETCH_WAIT_MS = 4096, 50
#: Seconds after librdkafka's last report that no broker is reachable. It waits up to 10 s between two attempts to connect, and does not
#: report each one: with a dead broker, 20 s without a report were seen.
DOWN_S = 30.0


class Fetcher:
    """The reader of one worker, and the records that wait for their task.

    Args:
        kafka: librdkafka settings of the cluster.
        group_id: the consumer group that the broker sees. It is never joined, and no offsets are committed under it.
        stages: topic -> the stage that reads it. The task manager adds to it.
        tasks: (stage name, partition) -> task. The task manager changes it.
        batch_records: the number of records of one read, and of one batch, at most.
        batch_bytes: the number of bytes after which a batch is cut.
        start_of: return the offset at which to continue, from topic, partition and an offset that no longer exists.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        group_id: str,
        stages: Mapping[str, Stage[Any]],
        tasks: Mapping[tuple[str, int], Task[Any]],
        *,
        batch_records: int,
        batch_bytes: int,
        start_of: Callable[[str, int, int], int],
    ) -> None:
        self._kafka = kafka
        self._group_id = group_id
        self._stages = stages
        self._tasks = tasks
        self._batch_records = batch_records
        self._batch_bytes = batch_bytes
        self._start_of = start_of
        #: The committed offsets of the current assignment, set by the task manager.
        self.starts: list[TopicPartition] = []
        self._reader: Any = None
        self._moves = 0
        #: Held while the reader is used or closed: librdkafka crashes when a closed consumer is queried, and `consume` never returns if the
        #: consumer is closed concurrently.
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, int], list[Any]] = {}
        self._waiting_count = 0
        #: (topic, partition) -> the offset of the partition's end when the reader reached it.
        self._ends: dict[tuple[str, int], int] = {}
        self._down_at = float("-inf")

    def next_move(self) -> int:
        """Return the number of the next move of the reader. Only for the event loop.

        From now on, only a move and reads with this number count. The thread of an earlier assignment may still begin one: nobody would
        process the records of its read, and its move would end the reads of the present assignment.
        """
        self._moves += 1
        return self._moves

    def seek(self, move: int) -> None:
        """Move the reader to the committed offsets of the current assignment, and drop the records that wait.

        Args:
            move: from `next_move`. Nothing is moved if there is a later one.
        """
        with self._lock:
            if move != self._moves:
                return
            if self._reader is None:
                self._reader = self._open_reader()
            self._waiting.clear()
            self._waiting_count = 0
            self._ends.clear()  # records that are read again count as unread
            self._reader.assign(self.starts)

    def _open_reader(self) -> Any:
        settings = {
            "auto.offset.reset": "error",
            "queued.min.messages": 50_000,
            "fetch.min.bytes": FETCH_BYTES,
            "fetch.wait.max.ms": FETCH_WAIT_MS,
            "enable.partition.eof": True,
            "error_cb": self._on_error,
        }
        return Consumer(consumer_config(self._kafka, self._group_id, settings))

    def read(self, wait_s: float, move: int) -> list[Any]:
        """Return the next records, after at most `wait_s` seconds. Return nothing once the fetcher is closed.

        Args:
            wait_s: seconds to wait for the first record.
            move: the number of the reader's move. Nothing is read if there is a later one.

        Raises:
            KafkaException: the broker reported an error that is not retriable.
            StoreError: an input was truncated.
        """
        with self._lock:
            if self._reader is None or move != self._moves:
                return []
            messages = self._reader.consume(1, wait_s)
            if messages:
                messages += self._reader.consume(self._batch_records - 1, 0.0)
        records, missing = [], []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                missing.append(TopicPartition(message.topic(), message.partition()))
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ends[(message.topic(), message.partition())] = message.offset()
            elif not error.retriable():
                raise KafkaException(error)
        if missing:
            self._continue(missing, move)
        return records

    def _continue(self, partitions: list[TopicPartition], move: int) -> None:
        """Move the reader on where the offset that it wants no longer exists: the records were deleted, or the topic was truncated."""
        starts = {(tp.topic, tp.partition): tp.offset for tp in self.starts}
        with self._lock:
            if self._reader is None or move != self._moves:
                return
            moved = []
            for tp in self._reader.position(partitions):
                position = tp.offset if tp.offset >= 0 else starts[tp.topic, tp.partition]
                moved.append(TopicPartition(tp.topic, tp.partition, self._start_of(tp.topic, tp.partition, position)))
            # A partition whose offset was refused is no longer fetched, and cannot be moved with `seek`.
            self._reader.incremental_unassign(moved)
            self._reader.incremental_assign(moved)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._down_at = time.monotonic()

    @property
    def is_cluster_down(self) -> bool:
        """Whether no broker was reachable within the last `DOWN_S` seconds."""
        return time.monotonic() - self._down_at < DOWN_S

    def next_batches(
        self, records: list[Any], now_ms: int, now: float | None = None
    ) -> Iterator[tuple[Task[Any], list[Any]]]:
        """Queue `records`, and yield every idle task with the records of its next batch: all that wait for it, up to the limits.

        A task that commits or rests is skipped. Records that arrive meanwhile become its next, larger batch, and no task waits for another. An
        idle task gets a batch at once when a timer is due, if need be an empty one.

        Args:
            records: the records of the last read.
            now_ms: the wall clock, in ms since 1970.
            now: seconds of the monotonic clock; None reads it.
        """
        now, enough = time.monotonic() if now is None else now, min(LARGE_BATCH, self._batch_records)
        waiting = self._waiting
        topic, partition = "", -1
        queue: list[Any] = []
        for record in records:
            # A read returns the records of one partition in long runs, so the queue rarely changes.
            if record.partition() != partition or record.topic() != topic:
                topic, partition = record.topic(), record.partition()
                queue = waiting.setdefault((self._stages[topic].name, partition), [])
            queue.append(record)
        self._waiting_count += len(records)
        for key, task in list(self._tasks.items()):
            if task.is_queued or task.lock.locked():
                continue
            is_due = task.stage.is_due is not None and task.stage.is_due(task.context, now_ms)
            count = len(waiting.get(key, ()))
            # Records that wait for a task at rest must not keep others from being read.
            if count and (is_due or now >= task.rests_until or count >= enough or self.is_full):
                batch = self._take_batch(key)
                self._waiting_count -= len(batch)
            elif is_due:
                batch = []
            else:
                continue
            task.is_queued = True
            task.records = batch
            yield task, batch

    def _take_batch(self, key: tuple[str, int]) -> list[Any]:
        """Remove the next batch of a task from the records that wait for it."""
        batch = self._waiting.pop(key)
        end, size = min(len(batch), self._batch_records), 0
        if len(batch) >= 1000:  # fewer records stay below any sensible limit in bytes
            for index in range(end):
                size += len(batch[index])
                if size > self._batch_bytes:
                    end = index + 1
                    break
        if (crashes := self._tasks[key].crashes) is not None:
            end = crashes.batch_end(batch[:end])
        if end < len(batch):
            self._waiting[key] = batch[end:]
            del batch[end:]
        return batch

    @property
    def is_full(self) -> bool:
        """Whether so many records wait that further reading would only fill memory."""
        return self._waiting_count >= 2 * self._batch_records

    @property
    def has_waiting(self) -> bool:
        """Whether records wait for a task that commits or rests."""
        return bool(self._waiting)

    def lag(self) -> Iterator[tuple[str, int, int]]:
        """Yield (topic, partition, unread records) for every partition, as last reported to librdkafka. Safe in any thread."""
        starts = {(tp.topic, tp.partition): tp.offset for tp in self.starts}
        unread = []
        with self._lock:
            if self._reader is None:
                return
            for tp in self._reader.position(self._reader.assignment()):
                partition = tp.topic, tp.partition
                low, high = self._reader.get_watermark_offsets(tp, cached=True)
                # Before the first record there is no position. Commit markers take offsets but are not records: where the end was
                # reached, everything before it has been read.
                position = max(low, tp.offset, starts.get(partition, 0), self._ends.get(partition, 0))
                if high >= 0:
                    unread.append((*partition, max(0, high - position)))
        yield from unread

    def in_flight(self) -> Iterator[tuple[str, int, int, int]]:
        """Yield (stage, partition, records, oldest time in ms) for records that are read and not committed. Only for the event loop."""
        for (name, partition), task in self._tasks.items():
            records = [*self._waiting.get((name, partition), ())]
            if task.is_queued or task.lock.locked():
                records += task.records
            if records:
                yield name, partition, len(records), min(record.timestamp()[1] for record in records)

    def close(self) -> None:
        """Close the reader. Afterwards `read` and `lag` return nothing."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
