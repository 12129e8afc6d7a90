"""The pools agent: gives the shop's codes to the runs of flows that claim them, one writer a pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

from streams.agents.instrumentation import Instrumentation
from streams.core.offers.code_pool_records import Pool, Told, decode_entry, encode_entry, pool_key
from streams.core.offers.code_pools import Desk
from streams.core.values.local_time import utc_from_ms
from streams.observability import metrics
from streams.runtime.app import App
from streams.runtime.errors import Misrouted
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.runtime.processing.task import Task
from streams.wire import topics

#: What stands in the metrics for all pools that no flow names: anybody can name a pool, and labels must be few.
OTHER = "other"


def register(app: App, instrumentation: Instrumentation, named: Collection[str]) -> Any:
    """Add the pools agent to `app`; `named` are the pools that flows take codes from."""
    read: dict[str, Callable[[bytes | None], Told]] = {
        topics.CODES: instrumentation.decoder.code,
        topics.CLAIMS: instrumentation.decoder.claim,
        topics.CLAIM_WITHDRAWALS: instrumentation.decoder.claim_withdrawal,
    }

    def open_pools(task: Task) -> None:
        """The numbers of the pools that lie here, for the gauges (`Watch`)."""
        own = [name for name in named if partition_of(name.encode(), app.partitions) == task.partition]
        found = {name: task.store.get(pool_key(name)) for name in own} if task.store is not None else {}
        task.memory["pools"] = {name: Pool() if raw is None else decode_entry(raw) for name, raw in found.items()}

    def told(record: Any) -> Told:
        fact = read[record.topic()](record.value())
        key = fact.pool.encode()
        if key != record.key() or partition_of(key, app.partitions) != record.partition():
            raise Misrouted(key)
        return fact

    stage = Stage(
        name="pools",
        # Codes first: what came together with a claim is there for it.
        topics=(topics.CODES, topics.CLAIMS, topics.CLAIM_WITHDRAWALS),
        table="pools",
        encode=encode_entry,
        decode=decode_entry,
        open=open_pools,
        dead_letter=instrumentation.dead_letter("pools"),
    )

    @app.stage(instrumentation.observed(stage))
    async def pools(batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            now = utc_from_ms(batch.now_ms)
            desk = Desk(batch, now)
            for fact in batch.taken(told):
                desk.take(fact)
            for grant in desk.grants:
                batch.send(*instrumentation.encoder.effects.grant(grant, now))
            _count(desk, batch.task.memory["pools"])
            await batch.commit()

    return pools


def _count(desk: Desk, known: dict[str, Pool]) -> None:
    known.update({name: pool for name, pool in desk.pools.items() if name in known})
    for name, count in desk.given.items():
        metrics.CODES_GRANTED.labels(name if name in known else OTHER).inc(count)
    for name, count in desk.expired.items():
        metrics.CODES_EXPIRED.labels(name if name in known else OTHER).inc(count)
