"""The flows agent: applies each event to the state of its customer, and publishes the effects. Each customer has one writer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, Protocol

import structlog

from streams.agents.current_ruleset import CurrentRuleset
from streams.agents.flow_walks import FlowWalks
from streams.agents.heartbeats import pass_on
from streams.agents.instrumentation import Instrumentation, count_effects
from streams.core.engine import advance
from streams.core.model.customer import new_customer
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.effects import ForwardEvent, SendMail
from streams.core.model.events import AliasReleased, Event, Forwarded, TimerFired
from streams.core.model.person_events import CustomerErased
from streams.core.rules.content_hash import content_hash
from streams.core.rules.ruleset import Ruleset
from streams.core.triggers.walk_plans import WalkPlan, walk_plans
from streams.core.values.local_time import utc_from_ms
from streams.runtime import failpoints
from streams.runtime.app import App
from streams.runtime.errors import Misrouted
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.runtime.state.store import PartitionStore
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.encode.encoder import Encoder

log = structlog.get_logger(__name__)

INPUTS = (
    topics.ORDERS,
    topics.SHIPMENTS,
    topics.ENGAGEMENT,
    topics.CUSTOMERS,
    topics.HANDOVERS,
    topics.BROWSING,
    topics.PRESSURE,
    topics.REQUESTS,
    topics.DUE,
    topics.EVENTS,
    topics.GRANTS,
    topics.PRODUCT_CHANGES,
)

#: The result of the handler: the key of the changed state or None, the new state, and the outputs.
Decision = tuple[bytes | None, Any, list[ProducerRecord]]


class ReadOnlyBatch(Protocol):
    """The part of `Batch` that the handler uses. A replay of the journal provides it too."""

    partition: int
    now_ms: int

    def get(self, key: bytes) -> Any:
        """Return the customer's state, or None."""


def make_handler(
    decoder: Decoder, encoder: Encoder, ruleset: Ruleset, partitions: int
) -> Callable[[Any, ReadOnlyBatch], Decision]:
    """Return the handler of the flows agent. Its result depends only on the record, the customer's state, the partition and the time.

    Args:
        decoder, encoder: convert records to events, and effects to records.
        ruleset: the flows and policies.
        partitions: the number of partitions of every topic.
    """
    encode = encoder.effects.encode

    def handle(record: Any, batch: ReadOnlyBatch) -> Decision:
        record_key = record.key()
        written_ms = record.timestamp()[1]
        event = decoder.event(record.topic(), record_key, record.value(), written_ms, batch.now_ms)
        customer_id = event.customer_id
        key = customer_id.encode()
        if key != record_key:
            raise Misrouted(key)
        now = utc_from_ms(batch.now_ms)
        if isinstance(event, TimerFired) and not event.flow:  # every timer of a flow has its name
            return None, None, pass_on(event, encoder.heartbeats, now)
        state = batch.get(key)
        if state is None:
            # A customer with state here is in the right partition.
            if partition_of(key, partitions) != batch.partition:
                raise Misrouted(key)
            state = new_customer(customer_id)
        after, effects = advance(ruleset, state, event, now)
        outputs = []
        for effect in effects:
            if type(effect) is ForwardEvent:
                outputs.append(encoder.handovers.forward(effect, record, now))
                continue
            output = encode(effect, now)
            if type(effect) is SendMail:
                output.headers.append(_due_at(event, written_ms))
            outputs.append(output)
        # Not before the encoding: a record with an effect that cannot be encoded is a dead letter.
        cause = event.event if isinstance(event, Forwarded) else event
        count_effects(cause, effects, state, after)
        is_gone = isinstance(cause, (CustomerErased, AliasReleased)) and after == new_customer(customer_id)
        return (None if after is state else key), (None if is_gone else after), outputs

    return handle


def _due_at(event: Event, written_ms: int) -> tuple[str, bytes]:
    """Return the header of a command: its email became due with the timer, or with the record (written at `written_ms`), that led to it."""
    cause = event
    if isinstance(event, Forwarded):
        cause = event.event
        written_ms = round(event.written_at.timestamp() * 1000)
    due_ms = round(cause.due_at.timestamp() * 1000) if isinstance(cause, TimerFired) else written_ms
    return topics.DUE_AT_HEADER, b"%d" % due_ms


class _Rules(NamedTuple):
    """A ruleset, and what the agent derives from it: its walks, its hash and the handler."""

    ruleset: Ruleset
    plans: tuple[WalkPlan, ...]
    version: str
    handle: Callable[[Any, ReadOnlyBatch], Decision]


def register(
    app: App, instrumentation: Instrumentation, ruleset: Ruleset | CurrentRuleset, walk_rate: int = 500
) -> Any:
    """Add the flows agent to `app`.

    Args:
        app: the app.
        instrumentation: the codecs and metrics.
        ruleset: the flows and policies by which it decides. A CurrentRuleset may be replaced: each partition switches before its next batch,
            and its journal says which flows decided about a batch.
        walk_rate: the customers of a partition that walks visit per second, at most.
    """

    def derive(ruleset: Ruleset) -> _Rules:
        handle = make_handler(instrumentation.decoder, instrumentation.encoder, ruleset, app.partitions)
        return _Rules(ruleset, walk_plans(ruleset), content_hash(ruleset), handle)

    current = ruleset if isinstance(ruleset, CurrentRuleset) else CurrentRuleset(ruleset)
    rules = derive(current.ruleset)
    #: Partition -> the hash of the flows that decide about its present batch.
    versions: dict[int, str] = {}

    def open_walks(partition: int, store: PartitionStore) -> FlowWalks:
        return FlowWalks(store, rules.ruleset, rules.plans, instrumentation.encoder, walk_rate)

    def is_due(walks: FlowWalks, now_ms: int) -> bool:
        return walks.ruleset is not current.ruleset or walks.is_due(now_ms)

    has_walks = bool(rules.plans) or current is ruleset
    stage: Stage[FlowWalks] = instrumentation.stage(
        "flows",
        INPUTS,
        table="customers",
        encode=encode_customer,
        decode=decode_customer,
        open=open_walks,
        is_due=is_due if has_walks else None,
        has_journal=True,
        flows=versions.__getitem__,
    )

    @app.stage(stage)
    async def flows(batches: AsyncIterator[Batch[FlowWalks]]) -> None:
        nonlocal rules
        async for batch in batches:
            if rules.ruleset is not current.ruleset:
                rules = derive(current.ruleset)
            if batch.task.context.ruleset is not rules.ruleset:
                batch.task.open()  # with the walks of the new flows
                failpoints.reach("flows.switched")
                log.info("a partition uses other flows", partition=batch.partition, version=rules.version)
            versions[batch.partition] = rules.version
            batch.task.context.step(batch)
            batch.apply(rules.handle)
            await batch.commit()

    return flows
