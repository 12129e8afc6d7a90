"""Numbers from outside: whatever they are, a record is handled or rejected, and its state and effects can be encoded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.agents.mail_reports import encode_report
from streams.core.engine import advance
from streams.core.model.customer import Customer, new_customer
from streams.core.model.customer_codec import decode_customer, encode_customer
from streams.core.model.events import Event, OrderCancelled, OrderPlaced, OrderRefunded
from streams.core.offers.code_pool_records import encode_entry
from streams.core.offers.code_pools import CodePools, InMemoryTable
from streams.core.offers.popularity import Change, Counts, Tally, encode_counts, sales_of
from streams.core.values.money import MAX_SUM, convert
from streams.mail.command import Command
from streams.mail.report import Report
from streams.runtime.avro.schemas import load_schemas
from streams.wire import topics
from streams.wire.codec import SCHEMAS
from streams.wire.decode.decoder import Decoder
from streams.wire.decode.events import EVENT_DECODERS
from streams.wire.encode.encoder import Encoder
from streams.wire.validation import MAX_MINOR, MAX_NUMBER, ValidationFailed
from tests.harness import records
from tests.harness.codec import CODEC
from tests.harness.effects import NOW, SEND
from tests.harness.events import order, shop_ruleset
from tests.harness.records import AT, AT_MS

DECODER, ENCODER = Decoder(CODEC), Encoder(CODEC)
RAW = load_schemas(SCHEMAS)
RULESET = shop_ruleset()
RANGES = {"int": (-(1 << 31), (1 << 31) - 1), "long": (-(1 << 63), (1 << 63) - 1)}
SALE = {
    "sales_id": "x",
    "customer_id": "c1",
    "week": 2900,
    "week_before": 0,
    "gone": [],
    "come": ["s1"],
    "is_new": True,
    "earlier": ["s2"],
}
CLAIM = {
    "pool": "spring-10", "reward_id": "r1", "customer_id": "c1", "flow": "spring", "flow_version": 2, "instance_id": "i1", "step": "0",
    "order_id": "o1", "give_up_at": NOW + timedelta(days=1), "claimed_at": AT,
}  # fmt: skip
PRODUCT = {
    "sku": "s1", "title": "Kande", "category": "kitchen", "unit_price_minor": 100, "currency": "DKK", "is_available": True,
    "is_consumable": False, "complements": [], "updated_at": AT,
}  # fmt: skip
CHANGE = {
    "change_id": "x1", "customer_id": "c1", "kind": "price_dropped", "sku": "s1", "price_minor": 100, "currency": "DKK",
    "old_price_minor": 200, "occurred_at": AT,
}  # fmt: skip
COMMAND = CODEC.decode("email_command", ENCODER.effects.encode(SEND, NOW).value or b"")
#: Topic -> a valid record with all numbers, and the method that decodes it.
SAMPLES: dict[str, tuple[dict[str, Any], Callable[[bytes], Any]]] = {
    topics.ORDERS: (
        records.order(
            lines=[records.line(lasts_days=30)],
            discounts=[{"code": "A", "title": "", "amount_minor": 1}],
            taxes=[{"title": "", "tax_rate": 25_000, "amount_minor": 1}],
            returns=[{"return_id": "r1", "received_at": AT, "lines": [{"sku": "s1", "quantity": 1}]}],
        ),
        lambda value: _event(topics.ORDERS, value),
    ),
    topics.ENGAGEMENT: (records.engagement("reviewed", stars=1), lambda value: _event(topics.ENGAGEMENT, value)),
    topics.SHIPMENTS: (records.shipment(), lambda value: _event(topics.SHIPMENTS, value)),
    topics.CUSTOMERS: (
        records.profile(history="partial", orders_before=1, spend_before_minor=1),
        lambda value: _event(topics.CUSTOMERS, value),
    ),
    topics.EVENTS: (records.email_event(status_code=250), lambda value: _event(topics.EVENTS, value)),
    topics.GRANTS: (records.code_grant(), lambda value: _event(topics.GRANTS, value)),
    topics.DUE: (
        records.retry(command=CODEC.encode("email_command", COMMAND)),
        lambda value: _event(topics.DUE, value),
    ),
    topics.PRODUCTS: (PRODUCT, DECODER.product),
    topics.PRODUCT_CHANGES: (CHANGE, lambda value: _event(topics.PRODUCT_CHANGES, value)),
    topics.SALES: (SALE, DECODER.sales),
    topics.CLAIMS: (CLAIM, DECODER.claim),
    topics.COMMANDS: (COMMAND, DECODER.command),
}
#: Records for numbers that the samples do not have: only one kind of engagement has a price.
OTHER_SAMPLES = {
    (topics.ENGAGEMENT, ("unit_price_minor",)): records.engagement("wished", sku="s1", unit_price_minor=1, currency="DKK"),
}  # fmt: skip
#: Numbers without a bound of their own: they are only copied to fields of the same type, or never read.
COPIED = {"flow_version", "status_code", "priority"}
#: Numbers without which a record is still useful: out of their bounds they are left out or limited.
OPTIONAL = {("tax_rate",), ("stock",), ("returns", "[]", "lines", "[]", "quantity")}
#: Topics with numbers that only Takk's own program reads, and never stores.
NOT_STORED = {topics.POPULARITY}


def _event(topic: str, value: bytes) -> Event:
    return DECODER.event(topic, b"c1", value, AT_MS)


def numbers_of(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path and the type of each number in a schema; without the times."""
    if isinstance(schema, list):
        for part in schema:
            yield from numbers_of(part, path)
    elif isinstance(schema, dict) and schema["type"] == "record":
        for field in schema["fields"]:
            yield from numbers_of(field["type"], (*path, field["name"]))
    elif isinstance(schema, dict) and schema["type"] == "array":
        yield from numbers_of(schema["items"], (*path, "[]"))
    elif isinstance(schema, dict) and "logicalType" not in schema:
        yield from numbers_of(schema["type"], path)
    elif schema in ("int", "long", "float", "double"):
        yield path, schema


def with_number(record: dict[str, Any], path: tuple[str, ...], number: int) -> dict[str, Any]:
    """Return a copy of the record with another number at `path`."""
    changed = copy.deepcopy(record)
    at: Any = changed
    for step in path[:-1]:
        at = at[0] if step == "[]" else at[step]
    at[path[-1]] = number
    return changed


def process(decoded: Any) -> None:
    """Let a decoded record take effect, and encode what it changes and publishes."""
    if isinstance(decoded, Change):
        for sale in sales_of(decoded):
            tally = Tally(Counts(sale.sku, 0))
            tally.add(sale)
            encode_counts(tally.counts())
            ENCODER.products.counts(tally.counts(), NOW)
    elif isinstance(decoded, Command):
        for report in (
            Report(command=decoded, outcome="deferred", at=NOW, rule="4xx", code=450, retry_at=NOW),
            Report(command=decoded, outcome="refused", at=NOW, rule="5xx", code=550, is_bounce=True),
        ):
            list(encode_report(ENCODER, report, b"key"))
    elif hasattr(decoded, "give_up_at"):
        table = InMemoryTable()
        CodePools(table, NOW).apply(decoded)
        for entry in table.entries.values():
            encode_entry(entry)
    elif hasattr(decoded, "occurred_at"):
        after, effects = advance(RULESET, new_customer("c1"), decoded, NOW)
        assert decode_customer(encode_customer(after)) == after
        for effect in effects:
            ENCODER.effects.encode(effect, NOW)


def cases() -> list[tuple[str, tuple[str, ...], str]]:
    """Return topic, path and type of each number in the topics that Takk reads."""
    inputs = {*EVENT_DECODERS, topics.PRODUCTS, topics.SALES, topics.CODES, topics.CLAIMS, topics.CLAIM_WITHDRAWALS, topics.COMMANDS,
              topics.WITHDRAWALS, topics.HEARTBEATS, topics.POPULARITY}  # fmt: skip
    found = [(topic, path, kind) for topic in sorted(inputs) for path, kind in numbers_of(RAW[topics.SCHEMA_OF[topic]])]
    assert {topic for topic, _, _ in found} == set(SAMPLES) | NOT_STORED
    return [case for case in found if case[0] not in NOT_STORED]


@pytest.mark.parametrize(("topic", "path", "kind"), cases())
def test_any_number_is_handled_or_rejected(topic: str, path: tuple[str, ...], kind: str) -> None:
    """Each number has an upper bound; up to it, and below, everything that follows from the record can be encoded."""
    record, decode = SAMPLES[topic]
    record = OTHER_SAMPLES.get((topic, path), record)
    least, most = RANGES[kind]
    rules = {}
    for number in (least, -1, 0, 1, MAX_NUMBER, MAX_NUMBER + 1, MAX_MINOR, MAX_MINOR + 1, most):
        if not least <= number <= most:
            continue
        value = CODEC.encode(topics.SCHEMA_OF[topic], with_number(record, path, number))
        try:
            process(decode(value))
        except ValidationFailed as error:
            rules[number] = error.rule
    assert set(rules.values()) <= {"negative_amount", "bad_quantity", "bad_time", "too_much"}
    assert 1 not in rules
    is_copied = path[-1] in COPIED or (topic == topics.EVENTS and path == ("attempt",))
    is_optional = path in OPTIONAL or path[-1:] in OPTIONAL
    assert rules.get(most) in ({None} if is_copied or is_optional else {"too_much", "bad_time"})


orders = st.builds(
    lambda name, currency, total, event: event(
        replace(order(name, AT), customer_id="c1", currency=currency, total_minor=total, discount_minor=total), AT
    ),
    st.sampled_from(["o1", "o2", "o3"]),
    st.sampled_from(["DKK", "EUR", "JPY", "KWD"]),
    st.sampled_from([0, 1, MAX_MINOR]) | st.integers(0, MAX_MINOR),
    st.sampled_from([OrderPlaced, OrderRefunded, OrderCancelled]),
)


@given(st.lists(orders, min_size=1, max_size=6), st.sampled_from([0, MAX_SUM - 1, MAX_SUM, -MAX_SUM]))
def test_sums_saturate(story: list[Event], start: int) -> None:
    """The largest orders, in any number and order, leave a state that can be encoded, with sums in the range of their type."""
    customer: Customer = replace(
        new_customer("c1"), spend_converted_minor=start, spend=(("DKK", start), ("EUR", start))
    )
    for event in story:
        customer, effects = advance(RULESET, customer, event, NOW)
        assert decode_customer(encode_customer(customer)) == customer
        for effect in effects:
            ENCODER.effects.encode(effect, NOW)
    assert all(abs(minor) <= MAX_SUM for minor in (customer.spend_converted_minor, *dict(customer.spend).values()))


rates = st.decimals(Decimal("1e-12"), Decimal("1e12"), allow_nan=False, allow_infinity=False)


@given(
    st.integers(0, MAX_MINOR),
    st.sampled_from(["DKK", "JPY", "CLF"]),
    st.sampled_from(["EUR", "KWD", "KRW"]),
    rates,
    rates,
)
def test_a_conversion_saturates(minor: int, currency: str, into: str, source: Decimal, target: Decimal) -> None:
    """Whatever the rates, the result is a sum that can be stored."""
    converted = convert(minor, currency, into, {currency: source, into: target})
    assert converted is not None
    assert 0 <= converted <= MAX_SUM
