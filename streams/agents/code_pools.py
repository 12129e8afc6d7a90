"""The code pools agent: assigns the shop's discount codes to the flow instances that claim them. Each pool has one writer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import Any, cast

from streams.agents.instrumentation import Instrumentation
from streams.agents.zeros import zero_pools
from streams.core.offers.code_pool_records import Pool, PoolMessage, decode_entry, encode_entry, pool_key
from streams.core.offers.code_pools import CodePools
from streams.core.values.local_time import utc_from_ms
from streams.observability import metrics
from streams.observability.gauges import OwnedGauges
from streams.runtime.app import App
from streams.runtime.errors import Misrouted
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.processing.batch import Batch
from streams.runtime.state.store import PartitionStore
from streams.wire import topics

#: The metrics label of all pools that no flow uses. Any shop system can name a pool, and label values must be few.
OTHER = "other"


def register(app: App, instrumentation: Instrumentation, used: Collection[str]) -> Any:
    """Add the code pools agent to `app`; `used` are the names of the pools from which flows take codes."""
    parsers: dict[str, Callable[[bytes | None], PoolMessage]] = {
        topics.CODES: instrumentation.decoder.code,
        topics.CLAIMS: instrumentation.decoder.claim,
        topics.CLAIM_WITHDRAWALS: instrumentation.decoder.claim_withdrawal,
    }

    def open_pools(partition: int, store: PartitionStore) -> dict[str, Pool]:
        """Return the counts of this partition's pools, for `pool_gauges`."""
        own = [name for name in used if partition_of(name.encode(), app.partitions) == partition]
        stored = {name: store.get(pool_key(name)) for name in own}
        return {name: Pool() if raw is None else cast(Pool, decode_entry(raw)) for name, raw in stored.items()}

    def parse(record: Any) -> PoolMessage:
        message = parsers[record.topic()](record.value())
        key = message.pool.encode()
        if key != record.key() or partition_of(key, app.partitions) != record.partition():
            raise Misrouted(key)
        return message

    zero_pools((*used, OTHER))
    stage = instrumentation.stage(
        "pools",
        # Codes first, so that a claim in the same batch can get one of them.
        (topics.CODES, topics.CLAIMS, topics.CLAIM_WITHDRAWALS),
        table="pools",
        encode=encode_entry,
        decode=decode_entry,
        open=open_pools,
    )

    @app.stage(stage)
    async def pools(batches: AsyncIterator[Batch[dict[str, Pool]]]) -> None:
        async for batch in batches:
            now = utc_from_ms(batch.now_ms)
            code_pools = CodePools(batch, now)
            for message in batch.decode(parse):
                code_pools.apply(message)
            for grant in code_pools.grants:
                batch.send(*instrumentation.encoder.effects.grant(grant, now))
            _count(code_pools, batch.task.context)
            await batch.commit()

    return pools


def _count(code_pools: CodePools, used: dict[str, Pool]) -> None:
    used.update({name: pool for name, pool in code_pools.pools.items() if name in used})
    for name, count in code_pools.granted.items():
        metrics.CODES_GRANTED.labels(name if name in used else OTHER).inc(count)
    for name, count in code_pools.expired.items():
        metrics.CODES_EXPIRED.labels(name if name in used else OTHER).inc(count)


def pool_gauges() -> OwnedGauges:
    """Return the gauges of each owned pool: codes in stock, and claims that wait."""
    return OwnedGauges(
        "pools",
        lambda task: {name: (pool.stock, pool.waiting) for name, pool in task.context.items()},
        metrics.POOL_CODES,
        metrics.POOL_CLAIMS,
    )
