"""The suppressions agent: keeps the events of each email address, and publishes its limits for every mailer. Each address has one writer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from streams.agents.instrumentation import Instrumentation
from streams.core.model.address_state import NEW_ADDRESS, decode_address, encode_address
from streams.core.sending.address_limits import AddressRules, apply, suppression_of
from streams.core.values.local_time import utc_from_ms
from streams.runtime.app import App
from streams.runtime.errors import Misrouted
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.wire import topics


def register(app: App, instrumentation: Instrumentation, rules: AddressRules | Callable[[], AddressRules]) -> Any:
    """Add the suppressions agent to `app`; `rules` are the limits of every address, or return the present ones."""
    current = rules if callable(rules) else lambda: rules
    decoder, encoder = instrumentation.decoder, instrumentation.encoder.addresses

    def handle(record: Any, batch: Batch[None]) -> tuple[bytes | None, Any, list[ProducerRecord]]:
        event = decoder.address_event(record.value())
        key = event.address.encode()
        if key != record.key() or partition_of(key, app.partitions) != batch.partition:
            raise Misrouted(key)
        before, rules = batch.get(key) or NEW_ADDRESS, current()
        after = apply(before, event, rules)
        if after == before:
            return None, None, []
        suppression = suppression_of(after, rules)
        if suppression == suppression_of(before, rules):
            return key, after, []
        return key, after, [encoder.suppression(event.address, suppression, utc_from_ms(batch.now_ms))]

    stage: Stage[None] = instrumentation.stage(
        "suppressions", (topics.ADDRESS_EVENTS,), table="addresses", encode=encode_address, decode=decode_address
    )

    @app.stage(stage)
    async def suppressions(batches: AsyncIterator[Batch[None]]) -> None:
        async for batch in batches:
            batch.apply(handle)
            await batch.commit()

    return suppressions
