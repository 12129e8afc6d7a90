"""Standbys: following copies of partitions that other workers own, so that a takeover needs to read only the last moment.

A thread reads the changelogs of the standby partitions, committed records only, into stores on this worker's disk. When a partition
becomes this worker's own, the following stops first, and the restore finds a store that is almost at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaException, TopicPartition

from streams.runtime.errors import StoreError
from streams.runtime.state.restore import apply, changelog_reader, ends_of, start_of
from streams.runtime.state.store import PartitionStore

log = structlog.get_logger(__name__)

#: Records applied at once: small enough that a takeover waits for a few milliseconds only.
BATCH = 5_000
#: Seconds that one read waits: the longest time by which a change of the partitions is delayed.
WAIT_S = 0.2
#: Seconds after an error of the broker until it is tried again.
PAUSE_S = 5.0

Place = tuple[str, int]


class Standbys:
    """The standby partitions of one worker.

    `follow` says which there are; between two calls a thread keeps their stores up to the changelog. A store that is followed has no
    other writer. `on_lag` is told, after every read, how many offsets all of them together are behind.
    """

    def __init__(
        self, kafka: Mapping[str, Any], group: str, on_lag: Callable[[int], None] = lambda offsets: None
    ) -> None:
        self._kafka = kafka
        self._group = group
        self.on_lag = on_lag
        self._stores: dict[Place, PartitionStore] = {}
        self._positions: dict[Place, int] = {}
        self._consumer: Any = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def places(self) -> frozenset[Place]:
        """Changelog topic and partition number of each store that is followed."""
        return frozenset(self._stores)

    @property
    def positions(self) -> dict[Place, int]:
        """How far each copy has come: the next changelog offset."""
        return dict(self._positions)

    def follow(self, stores: Mapping[Place, PartitionStore]) -> None:
        """From now on follow exactly `stores`; when it returns, no other store is written any more. May block for `WAIT_S`.

        A store that is ahead of its changelog is left alone: taking over the partition will say what is wrong.

        Raises:
            KafkaException: the broker could not be asked.
        """
        with self._lock:
            if set(stores) == set(self._stores):
                return
            self._stores, self._positions = {}, {}
            if not stores:
                if self._consumer is not None:
                    self._consumer.unassign()
                return
            if self._consumer is None:
                self._consumer = changelog_reader(self._kafka, self._group)
            for (topic, number), store in stores.items():
                low, high = ends_of(self._consumer, topic, number)
                try:
                    self._positions[(topic, number)] = start_of(topic, number, store, low, high)
                except StoreError as error:
                    log.error("a standby is not followed", topic=topic, partition=number, error=str(error))
                else:
                    self._stores[(topic, number)] = store
            self._assign()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="takk-standby", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop following; the stores are the caller's to close."""
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
                # Following is a convenience for the takeover, not a promise: the restore reads whatever is missing here.
                log.error("the standbys cannot be followed, trying again", error=repr(error), pause_s=PAUSE_S)
                self._stop.wait(PAUSE_S)
                with self._lock:
                    if self._stores:
                        self._assign()
            else:
                # The lock is not fair: a moment without it lets `follow` in.
                self._stop.wait(WAIT_S if idle else 0.005)

    def _behind(self) -> int:
        total = 0
        for (topic, number), position in self._positions.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
            total += max(0, high - position)
        return total
