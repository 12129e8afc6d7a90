"""The preparation of batches: a partition that must wait does not stop the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from streams.runtime.errors import RegistryUnavailable
from streams.runtime.processing.preparation import prepared
from tests.harness import kafka_fakes


class Gates:
    """A stage's `prepare`: a batch whose first record is a text waits until its gate is opened."""

    def __init__(self) -> None:
        self.open: dict[str, asyncio.Event] = {}
        self.cancelled: list[str] = []

    def prepare(self, records: Sequence[Any]) -> Awaitable[None] | None:
        name = records[0]
        if not isinstance(name, str):
            return None
        self.open[name] = asyncio.Event()
        return self._wait(name)

    async def _wait(self, name: str) -> None:
        try:
            await self.open[name].wait()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise


class Stream:
    """A stream of batches, given one by one, until None."""

    def __init__(self, gates: Gates) -> None:
        self._entries: asyncio.Queue[Any] = asyncio.Queue()
        self.task = kafka_fakes.task(None, kafka_fakes.stage(prepare=gates.prepare))

    def put(self, *names: Any) -> None:
        for name in names:
            self._entries.put_nowait(None if name is None else (self.task, [name], 0))

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (entry := await self._entries.get()) is not None:
            yield entry


async def test_a_waiting_batch_is_overtaken() -> None:
    """Batches without missing schemas are computed while one waits, and the one that waited follows as soon as it can."""
    gates = Gates()
    stream = Stream(gates)
    stream.put(1, "slow", 2, "slower", 3)
    async with aclosing(prepared(stream)) as entries:
        assert [(await anext(entries))[1][0] for _ in range(3)] == [1, 2, 3]
        upcoming = asyncio.ensure_future(anext(entries))
        await asyncio.sleep(0)
        gates.open["slower"].set()
        assert (await upcoming)[1] == ["slower"]
        stream.put(4)
        assert (await anext(entries))[1] == [4]
        gates.open["slow"].set()
        assert (await anext(entries))[1] == ["slow"]
        stream.put(5, None)
        assert (await anext(entries))[1] == [5]
        with pytest.raises(StopAsyncIteration):
            await anext(entries)


async def test_the_end_cancels_what_waits() -> None:
    """When the agent stops, batches that wait are dropped; they are read again after the next assignment."""
    gates = Gates()
    stream = Stream(gates)
    stream.put("slow", 1, None)
    async with aclosing(prepared(stream)) as entries:
        assert (await anext(entries))[1] == [1]
        with pytest.raises(StopAsyncIteration):
            await anext(entries)
    await asyncio.sleep(0)
    assert gates.cancelled == ["slow"]


async def test_a_failed_preparation_ends_the_agent() -> None:
    """An error other than an outage ends the agent."""

    def prepare(records: Sequence[Any]) -> Awaitable[None]:
        async def fail() -> None:
            raise LookupError("broken")

        return fail()

    stream = Stream(Gates())
    stream.task = kafka_fakes.task(None, kafka_fakes.stage(prepare=prepare))
    stream.put(1)
    async with aclosing(prepared(stream)) as entries:
        with pytest.raises(LookupError, match="broken"):
            await anext(entries)


def test_an_outage_is_never_a_dead_letter() -> None:
    """A handler that fails because the registry is away ends the batch: the record may be valid."""
    task = kafka_fakes.task(None)
    batch = kafka_fakes.batch(task, [kafka_fakes.Record(0)])

    def handle(record: Any, batch: Any) -> Any:
        raise RegistryUnavailable("the registry answers 503")

    with pytest.raises(RegistryUnavailable):
        batch.apply(handle)
    assert not batch.sent
