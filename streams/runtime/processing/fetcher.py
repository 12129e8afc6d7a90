"""Fetching: reads the records of the assigned partitions and puts them together to one batch per free task."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.runtime.processing.stage import Stage
from streams.runtime.processing.task import Task


class Fetcher:
    """The reader of one worker, and the records that wait for their task.

    Args:
        kafka: librdkafka settings of the cluster.
        group_id: the consumer group that the broker sees; it is never joined, and nothing is committed under it.
        by_topic: the stage that reads each topic.
        tasks: the tasks by stage name and partition; the task manager changes it.
        batch_records: records read at once over all partitions.
        batch_bytes: bytes after which one partition's batch is cut.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        group_id: str,
        by_topic: Mapping[str, Stage],
        tasks: Mapping[tuple[str, int], Task],
        *,
        batch_records: int,
        batch_bytes: int,
    ) -> None:
        self._kafka = kafka
        self._group_id = group_id
        self._by_topic = by_topic
        self._tasks = tasks
        self._batch_records = batch_records
        self._batch_bytes = batch_bytes
        #: The committed offsets of the present assignment, set by the task manager.
        self.starts: list[TopicPartition] = []
        self._reader: Any = None
        #: Held while the reader is used or closed: librdkafka crashes when a closed consumer is queried, and `consume` never returns if
        #: the consumer is closed concurrently.
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, int], list[Any]] = {}
        self._held = 0
        self._ends: dict[tuple[str, int], int] = {}

    def seek(self) -> None:
        """Point the reader at the committed offsets of the present assignment."""
        if self._reader is None:
            self._reader = Consumer(
                {
                    **self._kafka,
                    "group.id": self._group_id,
                    "enable.auto.commit": False,
                    "isolation.level": "read_committed",
                    "auto.offset.reset": "earliest",
                    "queued.min.messages": 50_000,
                    "fetch.wait.max.ms": 50,
                    "enable.partition.eof": True,
                }
            )
        self._waiting.clear()
        self._held = 0
        self._ends.clear()  # what is read again from the committed offsets is behind once more
        self._reader.assign(self.starts)

    def read(self, wait_s: float) -> list[Any]:
        """The next records, at once if there are some, else after `wait_s` at most; none once the tasks are closed."""
        with self._lock:
            if self._reader is None:
                return []
            records = self._reader.consume(1, wait_s)
            if records:
                records += self._reader.consume(self._batch_records - 1, 0.0)
        good = []
        for record in records:
            error = record.error()
            if error is None:
                good.append(record)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ends[(record.topic(), record.partition())] = record.offset()
            elif not error.retriable():
                raise KafkaException(error)
        return good

    def next_batches(self, records: list[Any], now: int) -> Iterator[tuple[Task, list[Any]]]:
        """Add `records` to what waits for its task, and give every task that is free its batch: all that waited, up to the bounds.

        A task that commits is left alone: what arrives meanwhile becomes its next, larger batch, and no task waits for another.
        A free task with nothing to read gets an empty batch when its timers are due.
        """
        waiting, by_topic = self._waiting, self._by_topic
        for record in records:
            key = (by_topic[record.topic()].name, record.partition())
            batch = waiting.get(key)
            if batch is None:
                batch = waiting[key] = []
            batch.append(record)
        self._held += len(records)
        for key, task in list(self._tasks.items()):
            if task.is_queued or task.lock.locked():
                continue
            if key in waiting:
                batch = self._take_batch(key)
                self._held -= len(batch)
            elif task.stage.is_due is not None and task.stage.is_due(task, now):
                batch = []
            else:
                continue
            task.is_queued = True
            task.batch = batch
            yield task, batch

    def _take_batch(self, key: tuple[str, int]) -> list[Any]:
        """Take the next batch of a task from what waits for it."""
        batch = self._waiting.pop(key)
        end, size = min(len(batch), self._batch_records), 0
        if len(batch) >= 1000:  # fewer records stay below any bound in bytes that is worth looking for
            for index in range(end):
                size += len(batch[index])
                if size > self._batch_bytes:
                    end = index + 1
                    break
        if end < len(batch):
            self._waiting[key] = batch[end:]
            del batch[end:]
        return batch

    def close(self) -> None:
        """Close the reader; `read` and `lag` return nothing from now on."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    @property
    def is_full(self) -> bool:
        """Whether so much waits that reading on would only fill memory."""
        return self._held >= 2 * self._batch_records

    @property
    def has_waiting(self) -> bool:
        """Whether records wait for a task that commits."""
        return bool(self._waiting)

    def lag(self) -> Iterator[tuple[str, int, int]]:
        """(topic, partition, records not yet read) of every partition, from what librdkafka last heard. May be called from any thread."""
        starts = {(tp.topic, tp.partition): tp.offset for tp in self.starts}
        found = []
        with self._lock:
            if self._reader is None:
                return
            for tp in self._reader.position(self._reader.assignment()):
                place = tp.topic, tp.partition
                low, high = self._reader.get_watermark_offsets(tp, cached=True)
                # Before the first record there is no position yet; and commit markers take offsets but are no records: where the end
                # was reached, what lies before it is read.
                at = max(low, tp.offset, starts.get(place, 0), self._ends.get(place, 0))
                if high >= 0:
                    found.append((*place, max(0, high - at)))
        yield from found

    def in_flight(self) -> Iterator[tuple[str, int, int, int]]:
        """(stage, partition, records, oldest time in ms) of what was read and is not committed; for the event loop's thread."""
        for (name, partition), task in self._tasks.items():
            records = [*self._waiting.get((name, partition), ())]
            if task.is_queued or task.lock.locked():
                records += task.batch
            if records:
                yield name, partition, len(records), min(record.timestamp()[1] for record in records)
