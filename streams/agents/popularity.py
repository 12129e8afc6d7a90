"""The popularity agent: counts sales per product, from the changes that the flows agent publishes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from streams.agents.instrumentation import Instrumentation
from streams.core.model.versioned_codec import UnknownVersion
from streams.core.offers.popularity import Counts, Tally, decode_counts, encode_counts, sales_of
from streams.core.values.local_time import utc_from_ms
from streams.runtime.app import App
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.wire import topics

#: Seconds from one batch of a partition to the next. The counts serve recommendations of the next hours. Without a pace this stage would make
#: a quarter of all transactions of a worker.
PACE_S = 1.0


def register(app: App, instrumentation: Instrumentation) -> Any:
    """Add the popularity agent to `app`. A batch publishes the counts of each product once, however many sales it contains."""
    stage: Stage[None] = instrumentation.stage(
        "popularity",
        (topics.SALES,),
        table="popularity",
        encode=encode_counts,
        decode=decode_counts,
        is_too_new=UnknownVersion,
    )
    stage.pace_s = PACE_S

    @app.stage(stage)
    async def popularity(batches: AsyncIterator[Batch[None]]) -> None:
        async for batch in batches:
            tallies: dict[bytes, Tally] = {}
            for change in batch.decode(lambda record: instrumentation.decoder.sales(record.value())):
                for sale in sales_of(change):
                    key = sale.sku.encode()
                    tally = tallies.get(key)
                    if tally is None:
                        tally = tallies[key] = Tally(batch.get(key) or Counts(sale.sku, batch.partition))
                    tally.add(sale)
            for key, tally in tallies.items():
                counts = tally.counts()
                batch.put(key, counts)
                batch.send(*instrumentation.encoder.products.counts(counts, utc_from_ms(batch.now_ms)))
            await batch.commit()

    return popularity
