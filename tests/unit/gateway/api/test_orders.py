"""Requests with orders and other records: what is published, and what the answers say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streams.gateway.api.examples import EXAMPLES
from streams.gateway.api.handlers import MAX_RECORDS
from streams.gateway.context import Unavailable
from streams.gateway.producers import RecordRefused
from streams.wire.decode.events import EVENT_DECODERS
from tests.harness.json_api import DECODER, NOW_MS, JsonApi, json_api

ORDER = EXAMPLES["orders"]["An order"]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[JsonApi]:
    """The API on a server."""
    async with json_api(tmp_path) as served:
        yield served


def order(**changes: Any) -> dict[str, Any]:
    """Return an order with other fields."""
    return {**ORDER, **changes}


def lines(*records: Any) -> bytes:
    """Return records as NDJSON."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


async def test_an_order_is_published(api: JsonApi) -> None:
    """An order becomes a record of the topic under its customer id, with the id of the answer."""
    status, answer = await api.post("orders", ORDER)
    assert status == 202
    assert answer == {"status": 202, "id": api.ids[0]}
    (record,) = api.published.records
    assert (record.topic, record.key) == ("orders", b"c-77")
    (decoded,) = api.decoded()
    assert decoded["total_minor"] == 44900
    assert decoded["placed_at"].isoformat() == "2026-03-02T09:00:00+00:00"
    assert decoded["ship_country"] == "DK"


@pytest.mark.parametrize(
    ("endpoint", "title"), [(endpoint, title) for endpoint, examples in EXAMPLES.items() for title in examples]
)
async def test_examples_are_accepted(api: JsonApi, endpoint: str, title: str) -> None:
    """Each example of the description is accepted, without a warning, and the workers decode it."""
    status, answer = await api.post(endpoint, EXAMPLES[endpoint][title])
    assert (status, set(answer)) == (202, {"status", "id"})
    (record,) = api.published.records
    if record.topic in EVENT_DECODERS:
        DECODER.event(record.topic, record.key, record.value, NOW_MS, NOW_MS)
    else:
        DECODER.product(record.value)


@pytest.mark.parametrize(
    ("changes", "issue"),
    [
        ({"ordr_id": "1"}, {"field": "ordr_id", "message": "unknown field", "hint": "did you mean 'order_id'?"}),
        (
            {"total": 449},
            {
                "field": "total",
                "message": "unknown field",
                "hint": "use 'total_minor', in minor units of the currency: 12950 is 129.50",
            },
        ),
        (
            {"weight": 1},
            {"field": "weight", "message": "unknown field", "hint": "GET /v1/openapi.json lists the fields"},
        ),
        (
            {"total_minor": 449.5},
            {
                "field": "total_minor",
                "message": "amounts are whole numbers",
                "hint": "count in minor units of the currency: 12950 is 129.50",
            },
        ),
        (
            {"total_minor": "44900"},
            {
                "field": "total_minor",
                "message": "expected a whole number, not a text",
                "hint": "write the number without quotes",
            },
        ),
        (
            {"customer_id": 77},
            {"field": "customer_id", "message": "expected a text, not a number", "hint": "put the number in quotes"},
        ),
        (
            {"placed_at": "2026-03-02T09:00:00"},
            {
                "field": "placed_at",
                "message": "the time has no offset from UTC",
                "hint": "end it with Z or with an offset such as +01:00",
            },
        ),
        (
            {"placed_at": 1772442000},
            {
                "field": "placed_at",
                "message": "expected a time between 2000 and 2100",
                "hint": "use milliseconds, not seconds",
            },
        ),
        ({"kind": "plced"}, {"field": "kind", "message": "unknown value 'plced'", "hint": "did you mean 'placed'?"}),
        (
            {"kind": "unknown"},
            {
                "field": "kind",
                "message": "unknown value 'unknown'",
                "hint": "known: placed, changed, cancelled, refunded, paid",
            },
        ),
        ({"lines": [{"sku": "a"}]}, {"field": "lines[0].title", "message": "missing field"}),
        (
            {"currency": "dkk"},
            {
                "field": "currency",
                "message": "currency is not three uppercase letters",
                "hint": "A currency has three uppercase letters.",
            },
        ),
        (
            {"total_minor": -1},
            {
                "field": "total_minor",
                "message": "total_minor is below 0",
                "hint": "An amount of money is 0 or more, except the price and the total of a line.",
            },
        ),
        ({"is_gift": "yes"}, {"field": "is_gift", "message": "expected true or false, not a text"}),
    ],
)
async def test_invalid_orders_are_explained(api: JsonApi, changes: dict[str, Any], issue: dict[str, str]) -> None:
    """An invalid order is refused with the field, the message and a hint, and nothing is published."""
    status, answer = await api.post("orders", order(**changes))
    assert (status, answer["code"], api.published.records) == (422, "invalid_record", [])
    assert issue.items() <= answer["errors"][0].items()


async def test_all_errors_are_listed(api: JsonApi) -> None:
    """Several errors of a record are reported together."""
    _, answer = await api.post("orders", order(total_minor=None, nme="x", lines=[{}]))
    fields = [error["field"] for error in answer["errors"]]
    assert fields[:2] == ["total_minor", "lines[0].title"]
    assert fields[-1] == "nme"


async def test_a_bad_record_does_not_stop_the_others(api: JsonApi) -> None:
    """A batch has a result for each line, and the valid records are published in their order."""
    body = lines(order(order_id="1"), order(order_id="2", currency="?"), order(order_id="3")) + b"\n{]\n"
    status, answer = await api.post("orders", body)
    assert status == 207
    assert (answer["accepted"], answer["refused"]) == (2, 2)
    assert [(result["line"], result["status"]) for result in answer["results"]] == [
        (1, 202),
        (2, 422),
        (3, 202),
        (5, 422),
    ]
    assert [record["order_id"] for record in api.decoded()] == ["1", "3"]
    assert api.ids == [result["id"] for result in answer["results"] if result["status"] == 202]


async def test_batch_statuses(api: JsonApi) -> None:
    """A batch answers 202 if all records are accepted, and 422 if all are refused."""
    assert (await api.post("orders", lines(order(), order())))[0] == 202
    assert (await api.post("orders", lines({}, [])))[0] == 422


async def test_too_many_records(api: JsonApi) -> None:
    """A batch with too many records is refused as a whole, and its parts need other keys: with one key, their ids would be the same."""
    status, answer = await api.post("orders", b"{}\n" * (MAX_RECORDS + 1))
    assert (status, answer["code"]) == (413, "too_many_records")
    assert "Idempotency-Key, use another one for each part" in answer["hint"]


async def test_repetitions_have_the_same_ids(api: JsonApi) -> None:
    """The same bytes have the same ids, and other bytes have others."""
    for record in (order(order_id="1"), order(order_id="1"), order(order_id="2")):
        await api.post("orders", record)
    assert api.ids[0] == api.ids[1] != api.ids[2]


async def test_idempotency_keys(api: JsonApi) -> None:
    """With an Idempotency-Key the id is that of the place in the request, for each API key apart."""
    mine, other = api.add_key("admin"), api.add_key("admin")
    for key, name in ((mine, "a"), (mine, "a"), (mine, "b"), (other, "a")):
        await api.post("orders", lines(order(), order()), {**key, "Idempotency-Key": name})
    first, repeated, renamed, foreign = (api.ids[at : at + 2] for at in range(0, 8, 2))
    assert first == repeated
    assert len({*first, *renamed, *foreign}) == 6


async def test_engagement_has_an_event_id(api: JsonApi) -> None:
    """An engagement without an event id gets the id of the record, so that a repetition has no effect."""
    event = {"customer_id": "c", "kind": "unsubscribed", "occurred_at": NOW_MS}
    _, answer = await api.post("events", event)
    await api.post("events", {**event, "event_id": "mine"})
    assert [record["event_id"] for record in api.decoded()] == [answer["id"], "mine"]


async def test_events_go_to_two_topics(api: JsonApi) -> None:
    """The kind of an event decides whether it is engagement or browsing, and a typo is explained."""
    base = {"customer_id": "c", "sku": "s", "occurred_at": NOW_MS}
    status, answer = await api.post(
        "events", lines({**base, "kind": "viewed"}, {**base, "kind": "wished"}, {**base, "kind": "vieved"}, base)
    )
    assert status == 207
    assert [record.topic for record in api.published.records] == ["browsing", "email-engagement"]
    typo, missing = answer["results"][2]["errors"], answer["results"][3]["errors"]
    assert typo == [{"field": "kind", "message": "unknown value 'vieved'", "hint": "did you mean 'viewed'?"}]
    assert missing == [{"field": "kind", "message": "missing field"}]


async def test_warnings(api: JsonApi) -> None:
    """An order whose address is not one is accepted with a warning, and so is a profile with an odd attribute."""
    status, answer = await api.post("orders", order(email="anna"))
    assert (status, answer["warnings"][0]["field"]) == (202, "email")
    profile = {"customer_id": "c", "occurred_at": NOW_MS, "attributes": {"1!": "x"}}
    status, answer = await api.post("customers", profile)
    assert (status, answer["warnings"]) == (202, [{"message": "left out or cut: 1 invalid name"}])


async def test_unavailable(api: JsonApi) -> None:
    """While no records are accepted, the answer is 503 with Retry-After."""
    api.published.error = Unavailable(7)
    headers = api.add_key("orders")
    answer = await api.client.post("/v1/orders", json=ORDER, headers=headers)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    assert answer.content_type == "application/problem+json"


async def test_a_record_that_kafka_refuses(api: JsonApi) -> None:
    """The answer to a record that the broker refuses for good has problem details, too."""
    api.published.error = RecordRefused("too large")
    key = api.add_key("orders")
    answer = await api.client.post("/v1/orders", json=ORDER, headers=key)
    assert (answer.status, answer.content_type) == (413, "application/problem+json")
    problem = await answer.json(content_type=None)
    assert (problem["code"], "one by one, with the same bytes" in problem["hint"]) == ("record_refused", True)
    answer = await api.client.post("/v1/orders", json=ORDER, headers={**key, "Idempotency-Key": "a"})
    assert "with the same Idempotency-Key and {} in place" in (await answer.json(content_type=None))["hint"]


async def test_a_record_that_is_replaced_to_find_another_one(api: JsonApi) -> None:
    """With {} in place of a record, the others of a request with a key keep their ids."""
    key = {**api.add_key("admin"), "Idempotency-Key": "a"}
    await api.post("orders", lines(order(order_id="1"), order(order_id="2")), key)
    await api.post("orders", lines({}, order(order_id="2")), key)
    assert api.ids[1:2] == api.ids[2:]


async def test_orders_belong_to_the_shop_of_the_key(api: JsonApi) -> None:
    """An order gets the shop of its key, and one of another shop is refused."""
    key = api.add_key("orders", shop="dk")
    body = lines(order(order_id="1"), order(order_id="2", shop_id="dk"), order(order_id="3", shop_id="se"))
    _, answer = await api.post("orders", body, key)
    assert [record["shop_id"] for record in api.decoded()] == ["dk", "dk"]
    assert answer["results"][2]["errors"][0]["field"] == "shop_id"
