"""The JSON API of shops: `POST /v1/{orders,shipments,customers,products,events}` and its description `/v1/openapi.json`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from streams.core.values.text import counted, similar
from streams.gateway.api.body import read_body
from streams.gateway.api.json_text import InvalidJson, parse_json
from streams.gateway.api.keys import ApiKey, KeyFile
from streams.gateway.api.kinds import ENDPOINTS, Target, targets_in
from streams.gateway.api.openapi import openapi
from streams.gateway.api.problems import OTHER_KEYS, Problem, json_response, unpublished
from streams.gateway.api.records import ACCEPTED, REFUSED, Result, judge, record_id
from streams.gateway.context import GATEWAY, Unavailable
from streams.gateway.limits import RateLimit
from streams.gateway.producers import RecordRefused
from streams.observability import metrics
from streams.wire.validation import ValidationFailed, parse_id

if TYPE_CHECKING:
    from streams.settings import Settings

#: Bytes and records of one request.
MAX_BODY_BYTES, MAX_RECORDS = 4 << 20, 1000
MAX_VISITOR_BYTES = 4096
#: The status of a batch of which some records are accepted and some refused.
MIXED = 207
#: Records that are checked before other requests get their turn.
_RECORDS_PER_TURN = 10
#: The methods of the other paths beside the endpoints. Requests with another method are routed like those to an endpoint.
_NEIGHBOURS: Mapping[str, str] = MappingProxyType({"openapi.json": "GET, HEAD", "visitors": "POST"})
_JSON, _NDJSON = "application/json", ("application/x-ndjson", "application/ndjson", "application/jsonl")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,199}")


@dataclass(frozen=True)
class Parts:
    """The data that the handlers need besides the gateway.

    Attributes:
        keys: the API keys.
        rates: the limit of each key.
        targets: the topics of each endpoint.
        description: the OpenAPI document, in JSON.
    """

    keys: KeyFile
    rates: RateLimit
    targets: Mapping[str, tuple[Target, ...]]
    description: bytes

    @classmethod
    def of(cls, settings: Settings) -> Parts:
        """Return the parts for the settings of a gateway.

        Raises:
            KeyFileInvalid: the file of keys is invalid.
            ValueError, OSError: the schemas cannot be read.
        """
        return cls(
            KeyFile(settings.gateway_api_keys_file),
            RateLimit(settings.gateway_api_requests_per_minute, time.monotonic),
            targets_in(settings.schemas_dir),
            _description(settings.schemas_dir, settings.mail_base_url),
        )


#: The parts of an application: `request.app[PARTS]`.
PARTS: web.AppKey[Parts] = web.AppKey("api_parts", Parts)


@lru_cache(maxsize=8)
def _description(schemas_dir: Path, server: str) -> bytes:
    return orjson.dumps(openapi(targets_in(schemas_dir), server))


async def describe(request: web.Request) -> web.Response:
    """Answer with the OpenAPI document. It needs no key."""
    return web.Response(body=request.app[PARTS].description, content_type="application/json")


async def receive(request: web.Request) -> web.Response:
    """Publish the records of a request, and answer what became of each."""
    try:
        return await _receive(request)
    except Problem as problem:
        return problem.response()


async def name_visitor(request: web.Request) -> web.Response:
    """Answer with the token by which the site script names a customer."""
    gateway = request.app[GATEWAY]
    try:
        _admitted(request, "events")
        said = parse_json(await read_body(request, MAX_VISITOR_BYTES))
        if not isinstance(said, dict) or set(said) != {"customer_id"} or not isinstance(said["customer_id"], str):
            raise Problem(422, "invalid_record", "expected an object with the field customer_id, a text")
        customer_id = parse_id(said, "customer_id")
    except InvalidJson as error:
        return Problem(422, "invalid_record", str(error)).response()
    except ValidationFailed as error:
        return Problem(422, "invalid_record", error.detail).response()
    except Problem as problem:
        return problem.response()
    return json_response({"visitor": gateway.keys.seal("v", customer_id, "", "", gateway.now())})


def _admitted(request: web.Request, role: str) -> ApiKey:
    """Return the key of a request. Raise Problem (401, 403, 429) if it is not valid for a role, or is used too often."""
    parts = request.app[PARTS]
    key = _authenticated(request, parts.keys, role)
    if wait_s := parts.rates.take(key.id):
        raise Problem(
            429, "too_many_requests", "this key has sent too many requests", "send batches, and wait as Retry-After says",
            headers={"Retry-After": str(wait_s)},
        )  # fmt: skip
    return key


async def _receive(request: web.Request) -> web.Response:
    endpoint = request.match_info["endpoint"]
    _check_place(request.method, endpoint)
    key = _admitted(request, endpoint)
    is_batch = _is_batch(request)
    idempotency_key = request.headers.get("Idempotency-Key", "")
    if idempotency_key and not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise Problem(
            400,
            "invalid_idempotency_key",
            "Idempotency-Key is not a text of 1 to 200 ASCII characters",
            "use a UUID",
        )
    rows = rows_of(await read_body(request, MAX_BODY_BYTES), is_batch)
    try:
        results = await _publish(rows, endpoint, key, idempotency_key, request.app)
    except (Unavailable, RecordRefused) as error:
        raise unpublished(error, is_named=bool(idempotency_key)) from error
    return _batch_answer(results) if is_batch else _answer(results[0])


async def _publish(
    rows: list[tuple[int, bytes]], endpoint: str, key: ApiKey, idempotency_key: str, app: web.Application
) -> list[Result]:
    """Publish the valid records, and return what became of each.

    Raises:
        Unavailable: nothing was published.
        RecordRefused: the broker refuses a record; others may have been published.
    """
    gateway, targets = app[GATEWAY], app[PARTS].targets[endpoint]
    results = []
    for count, (line, raw) in enumerate(rows):
        result = Result(record_id(endpoint, key, idempotency_key, count, raw), line)
        judge(raw, result, targets, key, gateway.encoder, gateway.now())
        results.append(result)
        if count % _RECORDS_PER_TURN == _RECORDS_PER_TURN - 1:
            await asyncio.sleep(0)
    refused = sum(result.record is None for result in results)
    metrics.GATEWAY_INVALID.labels(endpoint).inc(refused)
    if records := [result.record for result in results if result.record is not None]:
        await gateway.publisher.publish(records)
    return results


def _check_place(method: str, endpoint: str) -> None:
    """Raise Problem (404, 405) unless a record may be sent to an endpoint with a method."""
    if endpoint in _NEIGHBOURS:
        allowed = _NEIGHBOURS[endpoint]
        raise Problem(405, "method_not_allowed", f"the methods here are: {allowed}", headers={"Allow": allowed})
    if endpoint not in ENDPOINTS:
        meant = similar(endpoint[:40], tuple(ENDPOINTS))
        paths = ", ".join([f"/v1/{name}" for name in ENDPOINTS])
        raise Problem(
            404, "unknown_endpoint", "unknown endpoint", f"did you mean /v1/{meant}?" if meant else f"known: {paths}"
        )
    if method != "POST":
        raise Problem(405, "method_not_allowed", "records are sent with POST", headers={"Allow": "POST"})


def _authenticated(request: web.Request, keys: KeyFile, endpoint: str) -> ApiKey:
    """Return the key of a request. Raise Problem (401, 403) if it is not valid, or not for this endpoint."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    key = keys.find(text.strip())
    if key is None or scheme.lower() != "bearer":
        missing = "Authorization" not in request.headers
        raise Problem(
            401,
            "missing_api_key" if missing else "unknown_api_key",
            "the API key is missing" if missing else "the API key is unknown",
            "send the header `Authorization: Bearer takk_…`; `takk api-key create` makes a key",
            headers={"WWW-Authenticate": 'Bearer realm="takk"'},
        )
    if not key.allows(endpoint):
        hint = f"use a key with the role {endpoint} or admin: `takk api-key create --role {endpoint}`"
        raise Problem(403, "wrong_role", f"the API key does not have the role {endpoint}", hint)
    return key


def _is_batch(request: web.Request) -> bool:
    """Return whether the body is a batch. Raise Problem (415) if it is neither JSON nor NDJSON."""
    hint = f"use `Content-Type: {_JSON}` for one record, or {_NDJSON[0]} for one record per line"
    if request.content_type != _JSON and request.content_type not in _NDJSON:
        raise Problem(415, "unsupported_media_type", "the body is neither JSON nor NDJSON", hint)
    return request.content_type != _JSON


def rows_of(body: bytes, is_batch: bool) -> list[tuple[int, bytes]]:
    """Return the records of a body with the numbers of their lines. Raise Problem (400, 413) if it has none, or too many."""
    rows = [(1, body)] if not is_batch else list(enumerate(body.split(b"\n"), 1))
    rows = [(line, raw) for line, raw in rows if raw.strip()]
    if not rows:
        raise Problem(400, "empty", "the body has no record")
    if len(rows) > MAX_RECORDS:
        hint = f"send at most {MAX_RECORDS:,} records per request; {OTHER_KEYS}"
        raise Problem(413, "too_many_records", f"the batch has {len(rows):,} records", hint)
    return rows


def _answer(result: Result) -> web.Response:
    if result.status == ACCEPTED:
        body = result.as_json()
        del body["line"]
        return json_response(body, ACCEPTED)
    errors = [issue.as_json() for issue in result.issues]
    detail = f"the record is refused: {counted(len(errors), 'error')}"
    return Problem(REFUSED, "invalid_record", detail, id=result.id, errors=errors).response()


def _batch_answer(results: list[Result]) -> web.Response:
    accepted = sum(result.status == ACCEPTED for result in results)
    refused = len(results) - accepted
    status = MIXED if accepted and refused else ACCEPTED if accepted else REFUSED
    body = {"accepted": accepted, "refused": refused, "results": [result.as_json() for result in results]}
    return json_response(body, status)


def routes() -> list[web.RouteDef]:
    """Return the routes of the API."""
    return [
        web.get("/v1/openapi.json", describe, name="openapi"),
        web.post("/v1/visitors", name_visitor, name="visitors"),
        web.route("*", "/v1/{endpoint}", receive, name="api"),
    ]
