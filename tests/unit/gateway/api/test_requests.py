"""Requests that are refused as a whole: keys, roles, rates, media types, sizes and odd JSON."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streams.gateway.api.examples import EXAMPLES
from streams.gateway.api.handlers import MAX_BODY_BYTES
from streams.gateway.api.keys import KeyFileInvalid
from streams.gateway.server import make_app
from streams.observability import metrics
from tests.harness.gateway_fakes import FakeGateway
from tests.harness.json_api import JsonApi, json_api

ORDER = EXAMPLES["orders"]["An order"]
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[JsonApi]:
    """The API on a server."""
    async with json_api(tmp_path) as served:
        yield served


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_api_key"),
        ({"Authorization": "Bearer takk_0123456789abcdef_" + "x" * 43}, "unknown_api_key"),
        ({"Authorization": "Bearer \xff"}, "unknown_api_key"),
        ({"Authorization": "Basic YTpi"}, "unknown_api_key"),
    ],
)
async def test_without_a_valid_key(api: JsonApi, headers: dict[str, str], code: str) -> None:
    """A request without a valid key gets 401 with problem details."""
    answer = await api.client.post("/v1/orders", json=ORDER, headers=headers)
    assert (answer.status, answer.content_type) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await answer.json(content_type=None))["code"] == code


async def test_a_secret_of_another_key(api: JsonApi) -> None:
    """The id of one key with the secret of another is not a key."""
    one, other = (api.add_key("orders")["Authorization"].split("_") for _ in range(2))
    headers = {"Authorization": "_".join((one[0], one[1], *other[2:]))}
    assert (await api.client.post("/v1/orders", json=ORDER, headers=headers)).status == 401


async def test_roles(api: JsonApi) -> None:
    """A key is only good for the endpoints of its roles."""
    key = api.add_key("orders", "products")
    statuses = [
        (await api.client.post(f"/v1/{endpoint}", json={}, headers=key)).status
        for endpoint in ("orders", "products", "shipments", "customers", "events")
    ]
    assert statuses == [422, 422, 403, 403, 403]


async def test_a_removed_key_is_refused(api: JsonApi) -> None:
    """The file of keys is read again when it changes, and an invalid file keeps the former keys."""
    key = api.add_key("orders")
    assert (await api.client.post("/v1/orders", json=ORDER, headers=key)).status == 202
    api.keys_file.write_text("- {id: 1}\n")
    assert (await api.client.post("/v1/orders", json=ORDER, headers=key)).status == 202
    api.keys_file.write_text("[]\n")
    assert (await api.client.post("/v1/orders", json=ORDER, headers=key)).status == 401


def test_an_invalid_file_of_keys(tmp_path: Path) -> None:
    """A gateway does not start with an invalid file of keys: otherwise every request to the API would fail."""
    path = tmp_path / "keys.yaml"
    path.write_text("- {id: 1}\n")
    with pytest.raises(KeyFileInvalid):
        make_app(FakeGateway(gateway_api_keys_file=path).context)


async def test_rates(tmp_path: Path) -> None:
    """A key that sends too much gets 429 with the seconds to wait, and other keys do not."""
    async with json_api(tmp_path, gateway_api_requests_per_minute=1) as api:
        key, other = api.add_key("orders"), api.add_key("orders")
        assert (await api.client.post("/v1/orders", json=ORDER, headers=key)).status == 202
        answer = await api.client.post("/v1/orders", json=ORDER, headers=key)
        assert answer.status == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 61
        assert (await api.client.post("/v1/orders", json=ORDER, headers=other)).status == 202


async def test_invalid_records_are_counted(api: JsonApi) -> None:
    """Each invalid record counts for its endpoint."""
    counter = metrics.GATEWAY_INVALID.labels("orders")
    before = counter._value.get()
    await api.post("orders", b"{}\n[]\n")
    assert counter._value.get() == before + 2


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded"}, "unsupported_media_type"),
        ({"Content-Type": "text/plain"}, "unsupported_media_type"),
        ({"Content-Type": "application/json; charset=latin-1"}, "unsupported_charset"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, "unsupported_encoding"),
    ],
)
async def test_media_types(api: JsonApi, headers: dict[str, str], code: str) -> None:
    """A body that is neither JSON nor NDJSON in UTF-8 gets 415, and so does a compressed one."""
    key = api.add_key("orders")
    body = gzip.compress(b"0" * (1 << 24)) if "Content-Encoding" in headers else b"{}"
    answer = await api.client.post("/v1/orders", data=body, headers={**key, **headers})
    assert (answer.status, (await answer.json(content_type=None))["code"]) == (415, code)


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_oversized_bodies(api: JsonApi, is_chunked: bool) -> None:
    """A body that is too large gets 413, whether or not its size is known before."""
    key = api.add_key("orders")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 65536 + 1):
            yield b" " * 65536

    data: Any = chunks() if is_chunked else b" " * (MAX_BODY_BYTES + 1)
    answer = await api.client.post("/v1/orders", data=data, headers={**key, **JSON})
    problem = await answer.json(content_type=None)
    assert (answer.status, problem["code"]) == (413, "too_large")
    assert "use another one for each part" in problem["hint"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "not valid JSON"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "nested more than"),
        (b'{"lines":' + b"[" * 30 + b"]" * 30 + b"}", "nested more than"),
        (b'{"total_minor": NaN}', "not valid JSON"),
        (b'{"total_minor": Infinity}', "not valid JSON"),
        (b'{"order_id": "1", "order_id": "2"}', "duplicate key 'order_id'"),
        (b'{"lines": [{"sku":"1","sku" :"1"}]}', "duplicate key 'sku'"),
        (b'{"name": "\xff"}', "not valid JSON"),
        (b'{"name": "\\ud800"}', "not valid JSON"),
        (b"{} {}", "not valid JSON"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b"[]", "expected an object, not an array"),
        (b"null", "expected an object, not null"),
        (b"17", "expected an object, not a number"),
        (b'{"x":"' + b"a" * (1 << 20) + b'"}', "the record has"),
    ],
)
async def test_odd_json(api: JsonApi, body: bytes, message: str) -> None:
    """JSON that is damaged, ambiguous, nested or too large is refused with a reason."""
    answer = await api.client.post("/v1/orders", data=body, headers={**api.add_key("orders"), **JSON})
    assert answer.status == 422
    assert message in (await answer.json(content_type=None))["errors"][0]["message"]


@pytest.mark.parametrize("number", ["1e400", "9" * 30, "-" + "9" * 19, "1e3", "44900.0", "0.1", "true"])
async def test_odd_numbers(api: JsonApi, number: str) -> None:
    """Numbers that are too large, or not whole, are refused. A whole number may have zeros after the point."""
    body = b'{"total_minor": ' + number.encode() + b"}"
    answer = await api.client.post("/v1/orders", data=body, headers={**api.add_key("orders"), **JSON})
    errors = (await answer.json(content_type=None))["errors"]
    is_amount = number in ("1e3", "44900.0")
    assert answer.status == 422
    assert any(error.get("field") == "total_minor" or "JSON" in error["message"] for error in errors) != is_amount


async def test_text_like_a_key(api: JsonApi) -> None:
    """Quotes and colons within a text are not taken for duplicate keys."""
    status, _ = await api.post("orders", {**ORDER, "name": '"name": "name" : x'})
    assert status == 202
    assert api.decoded()[0]["name"] == '"name": "name" : x'


@pytest.mark.parametrize(
    ("method", "path", "status", "hint"),
    [
        ("GET", "/v1/orders", 405, ""),
        ("POST", "/v1/order", 404, "did you mean /v1/orders?"),
        ("POST", "/v1/kunder", 404, "known: /v1/orders, /v1/shipments, /v1/customers, /v1/products, /v1/events"),
        ("POST", "/v1/%0d%0aX", 404, "known: /v1/orders, /v1/shipments, /v1/customers, /v1/products, /v1/events"),
    ],
)
async def test_other_places(api: JsonApi, method: str, path: str, status: int, hint: str) -> None:
    """Another method or another path is refused, with a hint."""
    answer = await api.client.request(method, path, headers=api.add_key("admin"))
    assert answer.status == status
    assert (await answer.json(content_type=None)).get("hint", "") == hint


async def test_empty_bodies(api: JsonApi) -> None:
    """A body without a record gets 400."""
    for headers in (JSON, {"Content-Type": "application/x-ndjson"}):
        answer = await api.client.post("/v1/orders", data=b" \n\n", headers={**api.add_key("orders"), **headers})
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (400, "empty")


async def test_odd_idempotency_keys(api: JsonApi) -> None:
    """A name of a request that is too long is refused."""
    status, answer = await api.post("orders", ORDER, {"Idempotency-Key": "x" * 201})
    assert (status, answer["code"]) == (400, "invalid_idempotency_key")


async def test_the_file_has_no_key(api: JsonApi) -> None:
    """The file contains neither a key nor its secret."""
    secret = api.add_key("orders")["Authorization"].split("_", 2)[2]
    assert secret not in api.keys_file.read_text()
