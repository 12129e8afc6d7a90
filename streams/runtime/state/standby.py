"""Standbys: warm replicas of partitions that other workers own, so that a takeover reads only the newest changelog records.

A thread applies the committed changelog records of the standby partitions to stores on this worker's disk. When this worker takes over a
partition, it stops following it first. The restore then finds a store that is almost up to date.

No error ends the thread: a standby only saves time. A full disk, a damaged store or a broker that is away is logged and counted, and the
replication continues after a pause.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.runtime.errors import StateError, StoreError
from streams.runtime.kafka.cluster import Cluster, TopicIds
from streams.runtime.state.restore import apply, changelog_reader, start_of
from streams.runtime.state.store import PartitionStore

log = structlog.get_logger(__name__)

#: The number of messages of one read: small enough that a takeover waits for a few milliseconds only.
BATCH = 5_000
#: Seconds that one read waits. A change of the partitions is delayed by at most as much.
WAIT_S = 0.2
#: Seconds until the next attempt after an error of the broker.
RETRY_PAUSE_S = 5.0

NO_IDS = TopicIds()

#: Changelog topic and partition.
Partition = tuple[str, int]


class Standbys:
    """The standby partitions of one worker.

    `follow` sets them. Between two calls a thread keeps their stores up to date; a followed store has no other writer.

    Args:
        kafka: librdkafka settings of the cluster.
        group_id: the consumer group that the broker sees. It is never joined.
        cluster: requests to the same cluster.
        on_lag: called after every read with the number of offsets that all standbys together are behind; with 0 when none is followed.

    Attributes:
        on_error: called with each error that interrupts the replication.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        group_id: str,
        cluster: Cluster,
        on_lag: Callable[[int], None] = lambda offsets: None,
    ) -> None:
        self._kafka = kafka
        self._group_id = group_id
        self._cluster = cluster
        self.on_lag = on_lag
        self.on_error: Callable[[Exception], None] = lambda error: None
        self._stores: dict[Partition, PartitionStore] = {}
        #: The stores that failed, which are tried again after a pause.
        self._failed: dict[Partition, PartitionStore] = {}
        self._ids = TopicIds()
        self._is_accepted = False
        self._positions: dict[Partition, int] = {}
        #: The offset after the last record, as of `follow`. Until the first answer of a partition's broker the consumer does not know it.
        self._ends: dict[Partition, int] = {}
        self._consumer: Any = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._retry_at = 0.0
        self._looked_at = time.monotonic()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs, as it must once a standby was followed."""
        return self._thread is None or self._thread.is_alive()

    def follow(
        self, stores: Mapping[Partition, PartitionStore], ids: TopicIds = NO_IDS, *, is_accepted: bool = False
    ) -> None:
        """Follow exactly `stores`. Once it returns, no other store is written. It may block for `WAIT_S`.

        A store that does not fit its changelog is not followed. Taking over the partition reports the error.

        Args:
            stores: (changelog topic, partition) -> open store.
            ids, is_accepted: the ids of the changelogs, and whether stores that do not fit them are wiped; see `restore`.

        Raises:
            KafkaException: the broker did not answer.
        """
        with self._lock:
            if self._stop.is_set() or set(stores) == set(self._stores) | set(self._failed):
                return
            self._ids, self._is_accepted = ids, is_accepted
            self._stores, self._failed, self._positions, self._ends = {}, {}, {}, {}
            if not stores:
                if self._consumer is not None:
                    self._consumer.unassign()
                self.on_lag(0)
                return
            if self._consumer is None:
                self._consumer = changelog_reader(self._kafka, self._group_id)
            self._add(stores)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="takk-standby", daemon=True)
            self._thread.start()

    def _add(self, stores: Mapping[Partition, PartitionStore]) -> None:
        """Follow further stores. The lock is held."""
        for partition, (low, high) in self._cluster.bounds(list(stores)).items():
            store, identity = stores[partition], self._ids.of(partition[0])
            try:
                self._positions[partition] = start_of(*partition, store, low, high, identity, self._is_accepted)
            except (StoreError, StateError) as error:
                self._drop(partition, store, error)
            else:
                self._stores[partition] = store
                self._ends[partition] = high
        self._assign()
        self.on_lag(self._behind())

    def _drop(self, partition: Partition, store: PartitionStore, error: Exception) -> None:
        """Stop following a store that failed, until the next attempt. The lock is held."""
        log.error("standby not followed, retrying", topic=partition[0], partition=partition[1], error=error)
        self._stores.pop(partition, None)
        self._failed[partition] = store
        self._retry_at = time.monotonic() + RETRY_PAUSE_S
        self.on_error(error)

    @property
    def silence_s(self) -> float:
        """Seconds since the thread last began a read; 0 without a standby."""
        return time.monotonic() - self._looked_at if self._stores and self._thread is not None else 0.0

    def close(self) -> None:
        """Stop following. The caller closes the stores. A later `follow` does nothing."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._stores, self._failed = {}, {}
            if self._consumer is not None:
                self._consumer.close()
                self._consumer = None

    def _assign(self) -> None:
        self._consumer.assign(
            [TopicPartition(topic, number, self._positions[topic, number]) for topic, number in self._stores]
        )

    def _run(self) -> None:
        while not self._stop.is_set():
            self._looked_at = time.monotonic()
            try:
                with self._lock:
                    self._retry()
                    idle = not self._stores
                    if not idle:
                        self._read()
            except Exception as error:  # noqa: BLE001 - not swallowed: it is counted, and the thread must outlive it
                # No need to stop the worker: a takeover restores whatever the standby lacks.
                log.error("cannot follow the standbys, retrying", error=error, pause_s=RETRY_PAUSE_S)
                self.on_error(error)
                self._stop.wait(RETRY_PAUSE_S)
                with self._lock:
                    self._failed |= self._stores
                    self._stores = {}
            else:
                # The lock is not fair, so `follow` needs a moment in which it is free.
                self._stop.wait(WAIT_S if idle else 0.005)

    def _retry(self) -> None:
        """Follow the stores that failed again, once their pause is over. Wipe those that are damaged. The lock is held.

        Raises:
            Exception: the broker does not answer, or a store cannot be opened. All of them are tried again.
        """
        if not self._failed or time.monotonic() < self._retry_at:
            return
        self._retry_at = time.monotonic() + RETRY_PAUSE_S
        failed, self._failed = self._failed, {}
        try:
            for store in failed.values():
                if store.is_damaged:
                    store.wipe()
                else:
                    store.reopen()  # after a full disk RocksDB refuses all writes until it is opened again
            self._add(failed)
        except Exception:
            self._failed = failed
            raise

    def _read(self) -> None:
        """Apply the next records. Drop a store that cannot be written, and wipe one whose records were deleted. The lock is held."""
        by_partition: dict[Partition, list[Any]] = {}
        for message in self._consumer.consume(BATCH, WAIT_S):
            if (error := message.error()) is not None and message.topic() is None and not error.retriable():
                raise KafkaException(error)
            by_partition.setdefault((message.topic(), message.partition()), []).append(message)
        for partition, messages in by_partition.items():
            store = self._stores.get(partition)
            if store is None:
                continue
            try:
                positions, _, _ = apply(messages, self._stores)
            except StateError as error:
                self._drop(partition, store, error)
            except KafkaException as error:
                if error.args[0].code() != KafkaError._AUTO_OFFSET_RESET:
                    raise
                # Compaction or retention has passed the position, so the store may have entries that were deleted since.
                self._drop(partition, store, error)
                store.wipe()
            else:
                self._positions.update(positions)
        if self._failed:
            self._assign()
        self.on_lag(self._behind())

    def _behind(self) -> int:
        total = 0
        for (topic, number), position in self._positions.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
            total += max(0, high - position, self._ends.get((topic, number), 0) - position)
        return total
