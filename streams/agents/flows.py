"""The flows agent: one writer per customer. An event and the customer's state in, the new state and its effects out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from streams.agents.instrumentation import Support, count_effects, utc
from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.ruleset import Ruleset
from streams.core.model.versioned_codec import UnknownVersion
from streams.runtime.app import App
from streams.runtime.errors import Misrouted
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder

INPUTS = (
    topics.ORDERS,
    topics.SHIPMENTS,
    topics.ENGAGEMENT,
    topics.CUSTOMERS,
    topics.BROWSING,
    topics.PRESSURE,
    topics.DUE,
    topics.EVENTS,
    topics.GRANTS,
)


Decision = tuple[bytes | None, Any, list[ProducerRecord]]


class TableView(Protocol):
    """What a decision may know of the batch it belongs to."""

    partition: int
    now_ms: int

    def get(self, key: bytes) -> Any:
        """The customer's state, or None."""


def decider(
    decoder: Decoder, encoder: Encoder, ruleset: Ruleset, partitions: int
) -> Callable[[Any, TableView], Decision]:
    """The function from a record and the state before it to (key, state after it, outputs); it depends on nothing else."""

    encode = encoder.effects.encode

    def decide(record: Any, view: TableView) -> Decision:
        told = record.key()
        event = decoder.event(record.topic(), told, record.value(), record.timestamp()[1])
        customer_id = event.customer_id
        key = customer_id.encode()
        if key != told:
            raise Misrouted(key)
        state = view.get(key)
        if state is None:
            # Only a customer who is new to this partition can have come to the wrong one.
            if partition_of(key, partitions) != view.partition:
                raise Misrouted(key)
            state = new_customer(customer_id)
        now = utc(view.now_ms)
        after, effects = advance(ruleset, state, event, now)
        count_effects(event, effects)
        return (None if after is state else key), after, [encode(effect, now) for effect in effects]

    return decide


def define(app: App, support: Support, ruleset: Ruleset) -> Any:
    """Add the flows agent to `app`, deciding by the flows and policies of `world`."""
    decide = decider(support.decoder, support.encoder, ruleset, app.partitions)
    stage = Stage(
        name="flows",
        topics=INPUTS,
        table="customers",
        encode=encode_customer,
        decode=decode_customer,
        is_too_new=UnknownVersion,
        journal=support.journal("flows"),
        dead_letter=support.dead_letter("flows"),
    )

    @app.stage(support.observed(stage))
    async def flows(batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            batch.each(decide)
            await batch.commit()

    return flows
