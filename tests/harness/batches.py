"""Batches on a fake producer: their commit, their outputs, and a handler that counts."""

from __future__ import annotations

import asyncio
from typing import Any

from streams.runtime.processing.batch import Batch
from tests.harness.kafka_fakes import CHANGELOG, FakeProducer


def committed(one: Batch[Any]) -> FakeProducer:
    """Commit a batch, wait, and return its producer."""

    async def run() -> None:
        await one.commit()
        await one.done()

    asyncio.run(run())
    producer: Any = one.task.producer
    return producer


def outputs(producer: FakeProducer) -> list[tuple[str, bytes, bytes | None]]:
    """Return what is committed, without the changelog."""
    return [output for output in producer.committed if output[0] != CHANGELOG]


def count_up(record: Any, of: Batch[Any]) -> Any:
    """A handler that counts the records of a key."""
    count = int(of.get(record.key()) or b"0") + 1
    return record.key(), b"%d" % count, [("out", record.key(), record.value(), [])]
