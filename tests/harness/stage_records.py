"""Hypothesis strategies for the batches of each stage, and what its records contain."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from streams.agents import flows
from streams.runtime.kafka.partitioner import partition_of
from streams.wire import topics
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.timers import timer_due
from streams.wire.encode.encoder import Encoder
from tests.harness import any_records, records
from tests.harness.agents import CODEC, PARTITION, PARTITIONS
from tests.harness.effects import NOW, SEND
from tests.harness.kafka_fakes import Record
from tests.harness.records import AT

CUSTOMER = next(f"c{n}" for n in range(100) if partition_of(f"c{n}".encode(), PARTITIONS) == PARTITION)
SKU = next(f"sku-{n}" for n in range(100) if partition_of(f"sku-{n}".encode(), PARTITIONS) == PARTITION)
POOL = next(f"spring-{n}" for n in range(100) if partition_of(f"spring-{n}".encode(), PARTITIONS) == 0)
ADDRESS = next(f"{n:032x}" for n in range(100) if partition_of(f"{n:032x}".encode(), PARTITIONS) == PARTITION)
COMMAND = CODEC.decode("email_command", Encoder(CODEC).effects.encode(SEND, NOW).value or b"")
CLAIM = {
    "pool": POOL, "reward_id": "r1", "customer_id": CUSTOMER, "flow": "spring", "flow_version": 2, "instance_id": "i1", "step": "0",
    "order_id": "o1", "give_up_at": NOW + timedelta(days=1), "claimed_at": AT,
}  # fmt: skip
#: Topic -> a valid record.
SAMPLES: dict[str, dict[str, Any]] = {
    topics.ORDERS: records.order(customer_id=CUSTOMER),
    topics.SHIPMENTS: records.shipment(customer_id=CUSTOMER),
    topics.ENGAGEMENT: records.engagement("opened", customer_id=CUSTOMER),
    topics.CUSTOMERS: records.profile(customer_id=CUSTOMER),
    topics.HANDOVERS: records.handover(customer_id=CUSTOMER, value=CODEC.encode("order", records.order(customer_id="guest-1"))),
    topics.REQUESTS: {"request_id": "r1", "customer_id": CUSTOMER, "kind": "frequency", "stage": "asked", "frequency": "fewer", "occurred_at": AT},
    topics.BROWSING: {"customer_id": CUSTOMER, "kind": "viewed", "sku": "s1", "occurred_at": AT},
    topics.PRESSURE: {"customer_id": CUSTOMER, "source": "erp", "kind": "sent", "purpose": "marketing", "occurred_at": AT},
    topics.EVENTS: records.email_event(customer_id=CUSTOMER),
    topics.GRANTS: records.code_grant(customer_id=CUSTOMER),
    topics.DUE: records.retry(customer_id=CUSTOMER, command=CODEC.encode("email_command", COMMAND)),
    topics.DELAYS: records.timer(customer_id=CUSTOMER),
    topics.SALES: {
        "sales_id": "x", "customer_id": CUSTOMER, "week": 2900, "week_before": 0, "gone": [], "come": ["s1"], "is_new": True, "earlier": [],
    },
    topics.INTERESTS: {"interest_id": "i1", "customer_id": CUSTOMER, "sku": SKU, "wished_at": AT, "bought_at": None},
    topics.PRODUCT_CHANGES: {
        "change_id": "c1", "customer_id": CUSTOMER, "kind": "price_dropped", "sku": "s1", "price_minor": 80, "currency": "DKK",
        "old_price_minor": 100, "occurred_at": AT,
    },
    topics.CODES: {"pool": POOL, "code": "SPRING-ABC"},
    topics.CLAIMS: CLAIM,
    topics.CLAIM_WITHDRAWALS: {name: CLAIM[name] for name in ("pool", "reward_id", "customer_id", "give_up_at")} | {"withdrawn_at": AT},
    topics.COMMANDS: COMMAND,
    topics.HEARTBEATS: {"due_at": AT},
    topics.ADDRESS_EVENTS: {
        "event_id": "e1", "address": ADDRESS, "kind": "sent", "send_id": "s-1", "purpose": "review", "occurred_at": AT,
    },
}  # fmt: skip
STAGES = {
    "flows": flows.INPUTS,
    "scheduler": (topics.DELAYS,),
    "popularity": (topics.SALES,),
    "pools": (topics.CODES, topics.CLAIMS, topics.CLAIM_WITHDRAWALS),
    "mailer": (topics.COMMANDS, topics.HEARTBEATS),
    "suppressions": (topics.ADDRESS_EVENTS,),
    "catalogue": (topics.INTERESTS,),
}
DECODER = Decoder(CODEC)


def keys() -> st.SearchStrategy[Any]:
    """Keys: the right one, none, another one, and a very long one."""
    right = st.sampled_from([CUSTOMER.encode(), SKU.encode(), POOL.encode(), ADDRESS.encode()])
    return st.one_of(
        right, right, right, st.none(), st.binary(max_size=20), any_records.sizes().map(lambda size: b"k" * size)
    )


def values(topic: str) -> st.SearchStrategy[Any]:
    """Values: records of the topic's schema, the same damaged, any bytes, and sizes around each limit."""
    schema = topics.SCHEMA_OF[topic]
    valid = any_records.records_of(CODEC, schema, SAMPLES[topic])
    header = CODEC.encode(schema, SAMPLES[topic])[:10]
    starts = st.sampled_from([b"", b"\xff", header, b"\x00\x00\x00\x00\x01"])
    large = st.builds(lambda start, size: start + b"\x00" * (size - len(start)), starts, any_records.sizes())
    return st.one_of(valid, valid, valid, any_records.damaged(valid), st.none(), st.binary(max_size=60), large)


@st.composite
def batches(draw: st.DrawFn, names: tuple[str, ...]) -> list[Record]:
    """Draw the records of one batch, on the topics of a stage."""
    count = draw(st.integers(1, 8))
    drawn = []
    for offset in range(count):
        topic = draw(st.sampled_from(names))
        drawn.append(
            any_records.record(
                offset,
                topic,
                draw(keys()),
                draw(values(topic)),
                draw(any_records.timestamps()),
                draw(any_records.headers()),
            )
        )
    return drawn


def decoded(record: Record) -> Any:
    """Decode a record without its agent. Raise InvalidRecord."""
    topic, value = record.topic(), record.value()
    if topic in flows.INPUTS:
        return DECODER.event(topic, record.key(), value, record.timestamp()[1])
    if topic == topics.DELAYS:
        return timer_due(value) if value is not None else None  # a cancellation
    decode = {
        topics.SALES: DECODER.sales, topics.CODES: DECODER.code, topics.CLAIMS: DECODER.claim, topics.COMMANDS: DECODER.command,
        topics.ADDRESS_EVENTS: DECODER.address_event, topics.INTERESTS: DECODER.interest,
        topics.CLAIM_WITHDRAWALS: DECODER.claim_withdrawal, topics.HEARTBEATS: DECODER.heartbeat,
    }[topic]  # fmt: skip
    return decode(value)
