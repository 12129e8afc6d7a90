"""Preparation of batches: what a batch needs from elsewhere is loaded before it is computed, and only its own partition waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, TypeAlias

from streams.runtime.processing.task import Task

#: A task, the records of its next batch, and the generation of the assignment.
Entry: TypeAlias = tuple[Task[Any], Sequence[Any], int]


async def prepared(stream: Any) -> AsyncIterator[Entry]:
    """Yield the entries of a stream once they are prepared (`Stage.prepare`).

    An entry that must wait is overtaken by those of other partitions. A partition has one entry at a time, so its order is kept.

    Args:
        stream: an asynchronous iterable of entries, usually a Faust stream.
    """
    entries = aiter(stream)
    upcoming: asyncio.Future[Entry] | None = None
    waiting: dict[asyncio.Future[None], Entry] = {}
    try:
        while True:
            if not waiting:
                # The usual case, without a task per entry.
                try:
                    entry = await (anext(entries) if upcoming is None else upcoming)
                except StopAsyncIteration:
                    return
                upcoming = None
            else:
                upcoming = upcoming or asyncio.ensure_future(anext(entries))
                done, _ = await asyncio.wait({upcoming, *waiting}, return_when=asyncio.FIRST_COMPLETED)
                ready = next((future for future in done if future in waiting), None)
                if ready is not None:
                    entry = waiting.pop(ready)
                    ready.result()
                    yield entry
                    continue
                try:
                    entry = upcoming.result()
                except StopAsyncIteration:
                    return
                upcoming = None
            work = _preparation(entry)
            if work is None:
                yield entry
            else:
                waiting[asyncio.ensure_future(work)] = entry
    finally:
        for future in waiting:
            future.cancel()
        if upcoming is not None:
            upcoming.cancel()


def _preparation(entry: Entry) -> Awaitable[None] | None:
    task, records, _ = entry
    prepare = task.stage.prepare
    return None if prepare is None else prepare(records)
