"""The client of the JSON API that the demo uses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streams.gateway.context import Unavailable
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.tools.local import api_client
from streams.tools.local.api_client import ApiClient, ApiFailed
from streams.tools.local.gateway_summary import summarize_gateway
from streams.tools.local.recipients.actions import Actions
from streams.tools.local.shop.shop import Shop
from streams.wire.topics import SCHEMA_OF
from tests.harness.gateway_fakes import read_back, with_other_id
from tests.harness.json_api import CODEC, LINK_KEYS, JsonApi, json_api
from tests.harness.records import order

AT = datetime(2026, 3, 27, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send again at once."""
    monkeypatch.setattr(api_client, "_PAUSE_S", 0.01)


def client_of(api: JsonApi) -> ApiClient:
    """Return a client with a key for everything."""
    key = api.add_key("admin")["Authorization"].removeprefix("Bearer ")
    return ApiClient(str(api.client.make_url("")).rstrip("/"), key)


def sold(**changes: Any) -> dict[str, Any]:
    """Return an order that is older than the clock of the gateway."""
    return order(**{"placed_at": AT, "occurred_at": AT, **changes})


async def test_records_of_the_simulated_shop_are_accepted(tmp_path: Path) -> None:
    """Each record that the simulated shop makes is accepted, in its order, and reads as it would on Kafka."""
    shop = Shop(7, 20.0, 1.0, has_receipts=True)
    made = [(record.topic, record.record) for record in shop.records(AT, 5.0)]
    made += [(topic, record) for topic, _, record, _ in shop.catalogue(AT)]
    made = [(topic, record) for topic, record in made if topic in api_client.ENDPOINTS]
    async with json_api(tmp_path) as api:
        client = client_of(api)
        for topic, record in made:
            client.send(topic, record)
        await asyncio.to_thread(client.close)
        assert client.accepted == len(made) > 50
        assert [record.topic for record in api.published.records] == [topic for topic, _ in made]
        on_kafka = [CODEC.encode(SCHEMA_OF[topic], record) for topic, record in made]
        assert [record.value for record in api.published.records] == on_kafka


async def test_accepted_records_are_looked_for(tmp_path: Path) -> None:
    """The summary of a demo finds each record that the API accepted, one that is missing, and one that is there twice."""
    shop = Shop(7, 20.0, 1.0, has_receipts=True)
    async with json_api(tmp_path) as api:
        client = client_of(api)
        for record in shop.records(AT, 2.0):
            client.send(record.topic, record.record)
        client.send("orders", sold(kind="cancelled", placed_at=AT, occurred_at=AT + timedelta(microseconds=999)))
        await asyncio.to_thread(client.close)
        records = api.published.records

        def errors(published: list[ProducerRecord]) -> dict[str, Any]:
            found = summarize_gateway(read_back(published), CODEC, Actions(), LINK_KEYS, client.identities)
            return {name: found[name] for name in ("lost", "duplicates", "lost_by_kind", "duplicates_by_kind")}

        none: dict[str, int] = {}
        assert errors(records) == {"lost": 0, "duplicates": 0, "lost_by_kind": none, "duplicates_by_kind": none}
        assert errors([*records, records[0]])["duplicates"] == 0  # the same id has no effect
        assert errors([*records, with_other_id(records[0])])["duplicates_by_kind"] == {"JSON API": 1}
        assert errors(records[1:])["lost_by_kind"] == {"JSON API": 1}


async def test_unavailable_gateways(tmp_path: Path) -> None:
    """While the gateway accepts nothing, the records wait, and then arrive in their order."""
    async with json_api(tmp_path) as api:
        api.published.error = Unavailable(0)
        client = client_of(api)
        for number in range(3):
            client.send("orders", sold(order_id=str(number)))
        await asyncio.sleep(0)
        api.published.error = None
        await asyncio.to_thread(client.close)
        assert [record["order_id"] for record in api.decoded()] == ["0", "1", "2"]


async def test_refused_records(tmp_path: Path) -> None:
    """A record that is refused is an error with the answer."""
    async with json_api(tmp_path) as api:
        client = client_of(api)
        client.send("orders", sold(currency="?"))
        with pytest.raises(ApiFailed, match="three uppercase letters"):
            await asyncio.to_thread(client.close)


async def test_a_gateway_that_is_gone(tmp_path: Path, unused_tcp_port: int) -> None:
    """Without a gateway the client gives up at the end."""
    client = ApiClient(f"http://127.0.0.1:{unused_tcp_port}", "key")
    client.send("orders", sold())
    with pytest.raises(ApiFailed, match="orders"):
        await asyncio.to_thread(client.close, 0.05)
