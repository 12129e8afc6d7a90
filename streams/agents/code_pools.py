"""The code pools agent: assigns the shop's discount codes to the flow instances that claim them. Each pool has one writer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from functools import partial
from typing import Any, cast

from streams.agents.instrumentation import Instrumentation
from streams.agents.zeros import zero_pools
from streams.core.model.versioned_codec import UnknownVersion
from streams.core.offers.code_pool_records import Pool, PoolMessage, decode_entry, encode_entry, pool_key
from streams.core.offers.code_pools import CodePools
from streams.core.values.local_time import utc_from_ms
from streams.observability import metrics
from streams.observability.gauges import OwnedGauges
from streams.runtime.app import App
from streams.runtime.errors import Misrouted
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.guard import Changes
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

    def handle(batch: Batch[dict[str, Pool]], record: Any, changes: Changes) -> list[ProducerRecord]:
        now = utc_from_ms(batch.now_ms)
        code_pools = CodePools(changes, now)
        code_pools.apply(parse(record))
        outputs = [instrumentation.encoder.effects.grant(grant, now) for grant in code_pools.grants]
        _count(code_pools, batch.task.context)
        return outputs

    zero_pools((*used, OTHER))
    stage = instrumentation.stage(
        "pools",
        # Codes first, so that a claim in the same batch can get one of them.
        (topics.CODES, topics.CLAIMS, topics.CLAIM_WITHDRAWALS),
        table="pools",
        encode=encode_entry,
        decode=decode_entry,
        is_too_new=UnknownVersion,
        open=open_pools,
    )

    @app.stage(stage)
    async def pools(batches: AsyncIterator[Batch[dict[str, Pool]]]) -> None:
        async for batch in batches:
            batch.apply_changes(partial(handle, batch))
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
