"""Standbys: warm replicas of partitions that other workers own, so that a takeover reads only the newest changelog records.

A thread applies the committed changelog records of the standby partitions to stores on this worker's disk. When this worker takes over a
partition, it stops following it first. The restore then finds a store that is almost up to date.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaException, TopicPartition

from streams.runtime.errors import StoreError
from streams.runtime.state.restore import apply, changelog_reader, start_of, watermarks
from streams.runtime.state.store import PartitionStore

log = structlog.get_logger(__name__)

#: The number of messages of one read: small enough that a takeover waits for a few milliseconds only.
BATCH = 5_000
#: Seconds that one read waits. A change of the partitions is delayed by at most as much.
WAIT_S = 0.2
#: Seconds until the next attempt after an error of the broker.
RETRY_PAUSE_S = 5.0

#: Changelog topic and partition.
Partition = tuple[str, int]


class Standbys:
    """The standby partitions of one worker.

    `follow` sets them. Between two calls a thread keeps their stores up to date; a followed store has no other writer.

    Args:
        kafka: librdkafka settings of the cluster.
        group_id: the consumer group that the broker sees. It is never joined.
        on_lag: called after every read with the number of offsets that all standbys together are behind; with 0 when none is followed.
    """

    def __init__(
        self, kafka: Mapping[str, Any], group_id: str, on_lag: Callable[[int], None] = lambda offsets: None
    ) -> None:
        self._kafka = kafka
        self._group_id = group_id
        self.on_lag = on_lag
        self._stores: dict[Partition, PartitionStore] = {}
        self._positions: dict[Partition, int] = {}
        #: The offset after the last record, as of `follow`. Until the first answer of a partition's broker the consumer does not know it.
        self._ends: dict[Partition, int] = {}
        self._consumer: Any = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, stores: Mapping[Partition, PartitionStore]) -> None:
        """Follow exactly `stores`. Once it returns, no other store is written. It may block for `WAIT_S`.

        A store that is ahead of its changelog is not followed. Taking over the partition reports the error.

        Raises:
            KafkaException: the broker did not answer.
        """
        with self._lock:
            if set(stores) == set(self._stores):
                return
            self._stores, self._positions, self._ends = {}, {}, {}
            if not stores:
                if self._consumer is not None:
                    self._consumer.unassign()
                self.on_lag(0)
                return
            if self._consumer is None:
                self._consumer = changelog_reader(self._kafka, self._group_id)
            for (topic, number), store in stores.items():
                low, high = watermarks(self._consumer, topic, number)
                try:
                    self._positions[(topic, number)] = start_of(topic, number, store, low, high)
                except StoreError as error:
                    log.error("standby not followed", topic=topic, partition=number, error=error)
                else:
                    self._stores[(topic, number)] = store
                    self._ends[(topic, number)] = high
            self._assign()
            self.on_lag(self._behind())
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="takk-standby", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop following. The caller closes the stores."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._stores = {}
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _assign(self) -> None:
        self._consumer.assign(
            [TopicPartition(topic, number, self._positions[topic, number]) for topic, number in self._stores]
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._lock:
                    idle = not self._stores
                    if not idle:
                        positions, _, _ = apply(self._consumer.consume(BATCH, WAIT_S), self._stores)
                        self._positions.update(positions)
                        self.on_lag(self._behind())
            except KafkaException as error:
                # No need to stop the worker: a takeover restores whatever the standby lacks.
                log.error("cannot follow the standbys, retrying", error=error, pause_s=RETRY_PAUSE_S)
                self._stop.wait(RETRY_PAUSE_S)
                with self._lock:
                    if self._stores:
                        self._assign()
            else:
                # The lock is not fair, so `follow` needs a moment in which it is free.
                self._stop.wait(WAIT_S if idle else 0.005)

    def _behind(self) -> int:
        total = 0
        for (topic, number), position in self._positions.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
            total += max(0, high - position, self._ends[topic, number] - position)
        return total
