"""One agent on one partition, without a broker and without Faust, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from streams.agents.instrumentation import Instrumentation
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.runtime.processing.task import Task
from streams.runtime.state.store import Memory, PartitionStore
from streams.wire import topics
from tests.harness.codec import CODEC
from tests.harness.kafka_fakes import CHANGELOG, FakeProducer, Record
from tests.harness.records import AT_MS

PARTITION, PARTITIONS = 1, 4

#: Topic, key and value of a record.
Output = tuple[str, bytes, bytes | None]


class TaskManager:
    """The clock of a process, and whether it is stopping."""

    def __init__(self) -> None:
        self.now_ms = AT_MS
        self.is_ready = True

    def clock(self) -> int:
        """The time in ms since 1970."""
        return self.now_ms


class App:
    """An app without Faust: it keeps the agent that is registered and its stage."""

    partitions = PARTITIONS

    def __init__(self) -> None:
        self.task_manager = TaskManager()
        self.agent: Callable[[AsyncIterator[Any]], Any]
        self.of: Stage[Any]

    def stage(self, stage: Stage[Any]) -> Callable[[Any], Any]:
        """Return the decorator of an agent."""
        self.of = stage
        stage.changelog = CHANGELOG

        def keep(agent: Any) -> Any:
            self.agent = agent
            return agent

        return keep


class Agent:
    """One stage on one partition: its task with a store and a producer that keeps what is committed."""

    def __init__(self, folder: Path, register: Callable[[Any, Instrumentation], Any]) -> None:
        self.app = App()
        register(self.app, Instrumentation(CODEC))
        self.store = PartitionStore(folder / self.app.of.name, Memory(16))
        self.producer = FakeProducer()
        producer: Any = self.producer
        self.task: Task[Any] = Task(self.app.of, PARTITION, producer, self.store)
        self.task.open()

    @property
    def is_due(self) -> bool:
        """Whether the task must run although it has nothing to read."""
        is_due = self.app.of.is_due
        return is_due is not None and is_due(self.task.context, self.app.task_manager.now_ms)

    def run(self, records: Iterable[Output] = (), *, at_ms: int) -> list[Output]:
        """Process one batch at `at_ms`, and return what it committed without changelog and journal."""
        return self.process(
            [Record(n, key, value, topic, at_ms) for n, (topic, key, value) in enumerate(records)], at_ms=at_ms
        )

    def process(self, read: list[Any], *, at_ms: int) -> list[Output]:
        """Process one batch of records like librdkafka's; otherwise like `run`."""
        self.app.task_manager.now_ms = at_ms
        batch: Batch[Any] = Batch(self.task, read, at_ms, None, ThreadPoolExecutor(1))
        before = len(self.producer.committed)

        async def one() -> AsyncIterator[Batch[Any]]:
            yield batch

        async def process() -> None:
            await self.app.agent(one())
            await batch.done()

        asyncio.run(process())
        committed = self.producer.committed[before:]
        return [output for output in committed if output[0] not in (CHANGELOG, topics.CHECKPOINTS)]
