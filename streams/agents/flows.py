"""The flows agent: one writer per customer. An event and the customer's state in, the new state and its effects out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any

from streams import topics
from streams.agents.support import Support
from streams.core.customer import new_customer
from streams.core.customer_codec import decode_customer, encode_customer
from streams.core.engine import advance
from streams.core.events import customer_of
from streams.core.world import World
from streams.runtime.app import App
from streams.runtime.checkpoint import Moved, Output, Unit
from streams.runtime.partition import partition_of
from streams.runtime.stage import Stage

INPUTS = (topics.ORDERS, topics.SHIPMENTS, topics.ENGAGEMENT, topics.CUSTOMERS, topics.DUE, topics.EVENTS)


def define(app: App, support: Support, world: World) -> Any:
    """Add the flows agent to `app`, deciding by the flows and policies of `world`."""
    wire = support.wire

    def decide(record: Any, unit: Unit) -> tuple[bytes | None, Any, Iterable[Output]]:
        event = wire.event(record.topic(), record.key(), record.value(), record.timestamp()[1])
        key = customer_of(event).encode()
        if key != record.key():
            raise Moved(key)
        state = unit.get(key)
        if state is None:
            # Only a customer who is new to this partition can have come to the wrong one.
            if partition_of(key, app.partitions) != unit.partition:
                raise Moved(key)
            state = new_customer(customer_of(event))
        now = datetime.fromtimestamp(unit.now_ms / 1000, UTC)
        after, effects = advance(world, state, event, now)
        support.decided(event, effects)
        return (None if after is state else key), after, [wire.output(effect, now) for effect in effects]

    stage = Stage(
        name="flows",
        topics=INPUTS,
        table="customers",
        encode=encode_customer,
        decode=decode_customer,
        journal=support.journal("flows"),
        dead_letter=support.dead_letter,
    )

    @app.stage(support.observed(stage))
    async def flows(units: AsyncIterator[Unit]) -> None:
        async for unit in units:
            unit.each(decide)
            await unit.commit()

    return flows
