"""The scheduler: stores the timers of `flow-delays`, and publishes each on `flow-due` when it is due.

A record without a value deletes all timers that were stored under its key before it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from streams.agents.instrumentation import Instrumentation
from streams.observability import metrics
from streams.observability.gauges import OwnedGauges
from streams.runtime.app import App
from streams.runtime.kafka.limits import MAX_RECORD_BYTES, RECORD_OVERHEAD
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import identity
from streams.runtime.processing.timers import MAX_FIRED_PER_SWEEP, MAX_KEY_BYTES, NEVER, Timers, pack, unpack
from streams.runtime.state.store import PartitionStore
from streams.wire import topics
from streams.wire.decode.timers import timer_due
from streams.wire.validation import MAX_ID, ValidationFailed

#: Seconds from one batch of a partition to the next. Most timers are due in days. A stored timer that is due does not wait for this.
PACE_S = 0.2


def register(app: App, instrumentation: Instrumentation, sweep_limit: int = MAX_FIRED_PER_SWEEP) -> Any:
    """Add the scheduler agent to `app`. One transaction fires at most `sweep_limit` stored timers."""

    def open_timers(partition: int, store: PartitionStore) -> Timers:
        return Timers(store, sweep_limit)

    def parse_timer(record: Any) -> tuple[int, bytes, bytes]:
        """Return a new timer, or the cancellation that a record without a value is, as `Timers.sweep` takes them."""
        value = record.value()
        # A timer without a key is published under its customer by the flows agent.
        key = record.key() or b""
        if value is None and not key:
            raise ValidationFailed("no_value", "neither a timer nor the key of timers to cancel")
        if len(key) > MAX_KEY_BYTES:
            raise ValidationFailed("bad_id", f"a timer with a key of {len(key):,} bytes")
        if value is None:
            return NEVER, b"", key
        timer_id, due_ms = timer_due(value)
        payload = pack(key, value)
        # A timer that fits into the table also fits into `flow-due`: there it has a shorter key and no headers.
        if len(payload) + RECORD_OVERHEAD + MAX_ID > MAX_RECORD_BYTES:
            raise ValidationFailed("too_large", f"a timer of {len(payload):,} bytes")
        return due_ms, timer_id.encode(), payload

    def fire(batch: Batch[Timers], due_ms: int, payload: bytes) -> None:
        key, value = unpack(payload)
        metrics.TIMERS_FIRED.inc()
        metrics.TIMER_LATENESS.observe(max(0, batch.now_ms - due_ms) / 1000)
        batch.send(topics.DUE, key, value)

    stage = instrumentation.stage(
        "scheduler",
        (topics.DELAYS,),
        table="timers",
        encode=identity,
        decode=identity,
        open=open_timers,
        is_due=Timers.is_due,
    )
    stage.pace_s = PACE_S

    @app.stage(stage)
    async def scheduler(batches: AsyncIterator[Batch[Timers]]) -> None:
        async for batch in batches:
            stored = batch.task.context.sweep(batch, batch.decode(parse_timer), fire)
            metrics.TIMERS_STORED.inc(stored)
            await batch.commit()

    return scheduler


def timer_gauges() -> OwnedGauges:
    """Return the gauge of stored timers for each owned partition."""
    return OwnedGauges("scheduler", lambda task: {task.partition: (task.context.pending,)}, metrics.TIMERS_PENDING)
