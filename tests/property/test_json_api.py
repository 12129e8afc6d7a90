"""The JSON API: for any bytes there is a result per record, and an accepted record is read by the workers as it was said."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.gateway.api.conversion import Issues
from streams.gateway.api.examples import EXAMPLES
from streams.gateway.api.handlers import rows_of
from streams.gateway.api.json_text import InvalidJson, parse_json
from streams.gateway.api.keys import create_key
from streams.gateway.api.kinds import ENDPOINTS, choose, targets_of
from streams.gateway.api.problems import Problem
from streams.gateway.api.records import Result, judge, record_id
from streams.wire.decode.events import EVENT_DECODERS
from streams.wire.topics import PRODUCTS, SCHEMA_OF
from tests.harness.any_records import EPOCH, RAW, values_of
from tests.harness.examples import examples
from tests.harness.json_api import CODEC, DECODER, ENCODER, NOW, NOW_MS

TARGETS = targets_of(RAW)
KEY = create_key(["admin"])[1]
FIXED = {
    "customer_id": "c1",
    "order_id": "o1",
    "parcel_id": "p1",
    "sku": "s1",
    "currency": "DKK",
    "country": "DK",
    "ship_country": "DK",
    "locale": "da",
    "occurred_at": NOW,
    "placed_at": NOW,
    "quantity": 1,
    "total_minor": 100,
    "unit_price_minor": 100,
    "amount_minor": 1,
    "parcels_in_order": 1,
    "tracking_url": "",
    "send_id": "s-1",
}
#: JSON values of any kind, also with the names of fields.
NAMES = st.sampled_from([field["name"] for name in ("order", "engagement", "product") for field in RAW[name]["fields"]])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["placed", "viewed"]),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), parts, max_size=8),
    max_leaves=30,
)
#: Bytes that resemble records.
BODIES = st.one_of(
    st.binary(max_size=200),
    VALUES.map(lambda value: json.dumps(value).encode(errors="replace")),
    st.builds(
        lambda text, at, byte: text[:at] + byte + text[at + 1 :],
        st.sampled_from([json.dumps(example).encode() for each in EXAMPLES.values() for example in each.values()]),
        st.integers(0, 300),
        st.binary(max_size=2),
    ),
)


def judged(endpoint: str, raw: bytes) -> Result:
    """Return the result of a record."""
    result = Result(record_id(endpoint, KEY, "", 0, raw), 1)
    judge(raw, result, TARGETS[endpoint], KEY, ENCODER, NOW)
    return result


def read(result: Result) -> dict[str, Any]:
    """Return an accepted record as its topic has it. It raises what the decoder of the workers raises."""
    assert result.record is not None
    topic, key, value, _ = result.record
    if topic in EVENT_DECODERS:
        # A record that breaks a rule may still be an event of what it refuses.
        decoded = CODEC.decode(SCHEMA_OF[topic], value or b"")
        EVENT_DECODERS[topic][1](decoded, NOW)
        assert DECODER.event(topic, key, value, NOW_MS, NOW_MS).customer_id == key.decode()
    else:
        assert topic == PRODUCTS
        assert DECODER.product(value).sku == key.decode()
    return CODEC.decode(SCHEMA_OF[topic], value or b"")


@settings(max_examples=examples(60))
@given(st.sampled_from(tuple(ENDPOINTS)), st.lists(BODIES, min_size=1, max_size=5))
def test_any_bytes(endpoint: str, parts: list[bytes]) -> None:
    """Any bytes are refused with a reason, or accepted and then decoded. There are as many results as lines that are not blank."""
    body = b"\n".join(parts)
    if not body.strip():
        with pytest.raises(Problem):
            rows_of(body, is_batch=True)
        return
    rows = rows_of(body, is_batch=True)
    assert [line for line, _ in rows] == [at for at, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    for _, raw in rows:
        result = judged(endpoint, raw)
        assert json.dumps(result.as_json())
        if result.record is None:
            assert result.issues
        else:
            read(result)


def as_json(value: Any, is_text: bool) -> Any:
    """Return a value of a record as a shop writes it, with times as text or as milliseconds."""
    if isinstance(value, datetime):
        ms = (value - EPOCH) // timedelta(milliseconds=1)
        return value.isoformat(timespec="milliseconds") if is_text else ms
    if isinstance(value, dict):
        return {name: as_json(each, is_text) for name, each in value.items()}
    return [as_json(each, is_text) for each in value] if isinstance(value, list) else value


def says(decoded: Any, said: Any) -> bool:
    """Return whether a decoded value has everything that a record says."""
    if isinstance(said, dict) and isinstance(decoded, dict):
        return all(name in decoded and says(decoded[name], value) for name, value in said.items())
    if isinstance(said, list):
        return len(said) == len(decoded) and all(map(says, decoded, said))
    if isinstance(decoded, datetime) and not isinstance(said, datetime):
        said = EPOCH + timedelta(milliseconds=said) if isinstance(said, int) else datetime.fromisoformat(said)
    if isinstance(said, datetime):
        return bool(decoded == said.replace(microsecond=said.microsecond // 1000 * 1000))
    return bool(decoded == said)


def changes_of(schema: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of up to four fields of a schema with any values."""
    named: dict[str, Any] = {}
    values_of(RAW[schema], FIXED, named)
    fields = {field["name"]: values_of(field["type"], FIXED, named) for field in RAW[schema]["fields"]}
    names = st.sets(st.sampled_from(sorted(fields)), max_size=4)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: fields[name] for name in sorted(chosen)}))


def topic_of(endpoint: str, example: dict[str, Any]) -> str:
    """Return the topic of an example."""
    target = choose(TARGETS[endpoint], example, Issues())
    assert target is not None
    return target.topic


@pytest.mark.parametrize(
    ("endpoint", "schema"),
    [(endpoint, SCHEMA_OF[topic]) for endpoint, names in ENDPOINTS.items() for topic in names],
)
def test_what_was_said_is_read(endpoint: str, schema: str) -> None:
    """A record of the schema is refused, or its reader sees each field as the shop wrote it."""
    accepted = 0
    texts = [example for example in EXAMPLES[endpoint].values() if SCHEMA_OF[topic_of(endpoint, example)] == schema]
    valid = texts[0]

    @settings(max_examples=examples(60))
    @given(changes_of(schema), st.booleans())
    def check(changes: dict[str, Any], is_text: bool) -> None:
        nonlocal accepted
        said = {**valid, **changes}
        result = judged(endpoint, json.dumps(as_json(said, is_text)).encode())
        if result.record is not None:
            accepted += 1
            decoded = read(result)
            if said.get("event_id") is None:
                said.pop("event_id", None)
            if not said.get("ship_country"):
                said.pop("ship_country", None)
            assert says(decoded, said)

    check()
    assert accepted


@given(VALUES)
def test_strict_json_is_read_as_it_is(value: Any) -> None:
    """JSON without duplicate keys is read as other readers read it, except for numbers that JSON does not have."""
    text = json.dumps(value)
    if re.search("NaN|Infinity", text) or re.search(r"\\ud[89a-f]", text):
        return
    read_back = parse_json(text.encode())
    assert json.dumps(read_back, allow_nan=False) == json.dumps(json.loads(text), allow_nan=False) or _has_large(value)


def _has_large(value: Any) -> bool:
    """Return whether a number has more than 64 bits: those become floats."""
    if isinstance(value, dict):
        return any(map(_has_large, value.values()))
    if isinstance(value, list):
        return any(map(_has_large, value))
    return isinstance(value, int) and not -(1 << 63) <= value < 1 << 64


@given(st.dictionaries(st.text(max_size=5), VALUES, min_size=1, max_size=4), st.data())
def test_duplicate_keys(fields: dict[str, Any], data: st.DataObject) -> None:
    """An object with a key twice is always refused."""
    pairs = list(fields.items())
    twice = data.draw(st.sampled_from(pairs))
    space = data.draw(st.sampled_from(["", " ", "\n\t"]))
    text = ",".join([f"{json.dumps(name)}{space}:{json.dumps(value)}" for name, value in (*pairs, twice)])
    with pytest.raises(InvalidJson):
        parse_json(f"[{{{text}}}]".encode())
