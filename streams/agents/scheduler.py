"""The scheduler: keeps the timers of `flow-delays` and publishes each on `flow-due` when its time has come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from streams.agents.instrumentation import Instrumentation
from streams.observability import metrics
from streams.runtime.app import App
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.runtime.processing.task import Task
from streams.runtime.processing.timers import SLICE, Timers, pack, unpack
from streams.wire import topics
from streams.wire.decode.timers import timer_due


def register(app: App, instrumentation: Instrumentation, sweep_limit: int = SLICE) -> Any:
    """Add the scheduler agent to `app`; it fires `sweep_limit` stored timers in one transaction at most."""

    def open_timers(task: Task) -> None:
        task.memory["timers"] = Timers(task, sweep_limit)

    def timer_of(record: Any) -> tuple[int, bytes, bytes]:
        timer_id, due_ms = timer_due(record.value())
        return due_ms, timer_id.encode(), pack(record.key(), record.value())

    def fire(batch: Batch, due_ms: int, payload: bytes) -> None:
        key, value = unpack(payload)
        instrumentation.fired(batch, due_ms)
        batch.send(topics.DUE, key, value)

    stage = Stage(
        name="scheduler",
        topics=(topics.DELAYS,),
        table="timers",
        open=open_timers,
        is_due=lambda task, now_ms: bool(task.memory["timers"].is_due(now_ms)),
        dead_letter=instrumentation.dead_letter("scheduler"),
    )

    @app.stage(instrumentation.observed(stage))
    async def scheduler(batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            stored = batch.task.memory["timers"].sweep(batch, batch.taken(timer_of), fire)
            metrics.TIMERS_STORED.inc(stored)
            await batch.commit()

    return scheduler
