"""The timeline of a customer, as `takk why` shows it, from the effects of the driver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.core.model.effects import ForwardEvent
from streams.tools.operations.customer_story import Timeline, build_timeline
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder
from streams.wire.topics import SCHEMA_OF
from tests.harness.codec import CODEC
from tests.harness.driver import Driver

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)


def records(run: Driver) -> list[tuple[str, Mapping[str, Any]]]:
    """The records that the flows agent would have written."""
    effects = [effect for effect in run.effects if not isinstance(effect, ForwardEvent)]
    outputs = [ENCODER.effects.encode(effect, run.now) for effect in effects]
    return [
        (topic, CODEC.decode(SCHEMA_OF[topic], value or b""))
        for topic, _, value, _ in outputs
        if topic in (topics.DECISIONS, topics.ATTRIBUTED)
    ]


def timeline_of(run: Driver, customer: str = "c1", send_id: str | None = None) -> Timeline:
    """The timeline of a customer; every record was written twice."""
    return build_timeline(customer, records(run) * 2, run.customers.get(customer), send_id)
