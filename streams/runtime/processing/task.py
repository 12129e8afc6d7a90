"""A task: one stage's work on one partition."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, Producer

from streams.runtime.state.store import PartitionStore


class Task:
    """One agent's work on one partition: its transactional producer, its store, and the lock that makes batches follow each other.

    The lock is held from the start of a unit until its commit has reached the disk, so a partition has one writer, and
    whoever holds all locks knows that nothing is in flight. `freed` is set whenever it is released.
    """

    def __init__(
        self,
        stage: Any,
        partition: int,
        producer: Producer,
        store: PartitionStore | None,
        freed: asyncio.Event | None = None,
    ) -> None:
        self.stage = stage
        self.partition = partition
        self.producer = producer
        self.store = store
        self.lock = asyncio.Lock()
        self.is_closed = False
        self.is_queued = False
        #: What was dealt last and is not done with, while it is queued or the lock is held.
        self.batch: Sequence[Any] = ()
        #: Records whose batches were committed.
        self.taken = 0
        self.freed = freed
        self.broken_in_a_row = 0
        self.changelog_offset = -1
        self.is_unborn = False
        self.memory: dict[str, Any] = {}

    def produced(self, error: KafkaError | None, message: Any) -> None:
        """Delivery report of a batch's last changelog record: its offset is the new position (one report a batch is cheap)."""
        if error is None:
            self.changelog_offset = message.offset()
