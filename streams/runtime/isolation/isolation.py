"""Isolation: gives each task its note and the crashes at its offsets, and decides whose fault the end of an agent is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import structlog
from confluent_kafka import KafkaException

from streams.runtime.errors import (
    CommitTimeout,
    GroupLeft,
    PartitionRevoked,
    RegistryUnavailable,
    StateError,
    StoreError,
    TooManyFailures,
)
from streams.runtime.isolation.crashes import Crashes, CrashLog
from streams.runtime.isolation.note import CrashNote

log = structlog.get_logger(__name__)

#: Seconds that a suspect waits at most for the commits of other partitions.
ALONE_TIMEOUT_S = 10.0
#: Errors that end a process for another reason than the records that it was computing.
ENVIRONMENT = (
    PartitionRevoked, CommitTimeout, GroupLeft, RegistryUnavailable, StateError, StoreError, TooManyFailures, KafkaException, OSError,
    asyncio.CancelledError,
)  # fmt: skip


class IsolatedTask(Protocol):
    """The part of a task that isolation uses."""

    partition: int
    lock: asyncio.Lock
    note: CrashNote | None
    crashes: Crashes | None


class Isolation:
    """The isolation of records that end the process.

    Args:
        crash_log: the crashes of all workers.
        notes: the folder of this process's notes.
    """

    def __init__(self, crash_log: CrashLog, notes: Path) -> None:
        self._crash_log = crash_log
        self._notes = notes

    def note(self, stage: str, partition: int) -> CrashNote | None:
        """Return the note of a task, or None if it cannot be created."""
        try:
            return CrashNote(self._notes, stage, partition)
        except OSError as error:
            log.error("crashes are not noted", stage=stage, partition=partition, error=error)
            return None

    def attach(
        self,
        tasks: Mapping[tuple[str, int], IsolatedTask],
        committed: Iterable[tuple[tuple[str, int], str, int]],
        now_ms: int,
    ) -> None:
        """Give each task the crashes at the offsets that it is going to process.

        Args:
            tasks: (stage, partition) -> task.
            committed: (stage, partition), topic, and the next offset to read.
            now_ms: the time, in milliseconds since 1970.
        """
        try:
            found = self._crash_log.read()
        except (KafkaException, TimeoutError) as error:
            # The records are processed as if none had ended a process.
            log.error("the crashes of other processes are unknown", error=error)
            found = {}
        next_offsets = {(key, topic): offset for key, topic, offset in committed}
        for key, task in tasks.items():
            crashes = found.get(key)
            if crashes is not None:
                starts = {topic: next_offsets.get((key, topic), 0) for topic in crashes.ranges}
                crashes = None if crashes.is_past(starts, now_ms) else crashes
            task.crashes = crashes

    async def until_alone(self, task: IsolatedTask, tasks: Iterable[IsolatedTask]) -> None:
        """Wait until no batch of another task is in flight: an end of the process meanwhile is then due to the records of this task."""
        deadline = time.monotonic() + ALONE_TIMEOUT_S
        while any(other.lock.locked() for other in tasks if other is not task):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(0.002)

    def agent_failed(
        self,
        stage: str,
        is_too_new: type[Exception] | tuple[type[Exception], ...],
        error: Exception,
        tasks: Iterable[IsolatedTask],
    ) -> None:
        """Log the records at which an agent failed. Their notes stay, unless the error is known to have another reason.

        Args:
            stage: the stage of the agent.
            is_too_new: the errors that mean that a newer worker wrote the state.
            error: the error that ended the agent.
            tasks: the tasks of the stage.
        """
        is_of_records = not any(isinstance(cause, (*ENVIRONMENT, is_too_new)) for cause in _causes(error))
        for task in tasks:
            if task.note is None or (noted := task.note.noted) is None:
                continue
            topic, (first, last) = next(iter(noted.ranges.items()))
            log.critical(
                "the agent failed",
                stage=stage,
                partition=task.partition,
                topic=noted.place.topic if noted.place else topic,
                offset=noted.place.offset if noted.place else None,
                first=first,
                last=last,
                error=error,
            )
            if not is_of_records:
                task.note.clear()


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error, or the errors of a group."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for part in error.exceptions for cause in _causes(part)]
    return [error]
