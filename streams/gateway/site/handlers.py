"""The site script, and the browsing that it sends.

Only the browsing of a known customer is stored. A request must contain a sealed token of the use `v`, which the shop's server gets with its
API key, or which a link in an email brings. A request without a token, or without consent, stores nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web

from streams.core.values.ids import digest
from streams.gateway.api.body import read_body
from streams.gateway.api.conversion import Issue, Issues, clipped_name
from streams.gateway.api.json_text import InvalidJson, parse_json
from streams.gateway.api.kinds import targets_in
from streams.gateway.api.problems import Problem, unpublished
from streams.gateway.api.records import broken_rule
from streams.gateway.context import GATEWAY, Gateway, Unavailable
from streams.gateway.producers import RecordRefused
from streams.gateway.site.visitors import is_shop, refuses_tracking
from streams.mail.tokens import BadLink
from streams.observability import metrics
from streams.runtime.kafka.producer_record import ProducerRecord
from streams.wire import topics
from streams.wire.validation import EPOCH, ValidationFailed

#: Bytes and events of one request.
MAX_BYTES, MAX_EVENTS = 16 << 10, 20
#: The fields that an event may have. The customer is that of the token, and the time that of the gateway.
FIELDS = frozenset(("kind", "sku", "session_id", "launches_at"))
_MEDIA = ("text/plain", "application/json")
_SCRIPT_HEADERS = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}


@cache
def script() -> bytes:
    """Return the site script."""
    return (Path(__file__).parent / "t.js").read_bytes()


async def send_script(request: web.Request) -> web.Response:
    """Answer with the site script."""
    return web.Response(body=script(), content_type="text/javascript", charset="utf-8", headers=_SCRIPT_HEADERS)


async def receive(request: web.Request) -> web.Response:
    """Publish the browsing of a customer. Browsers of other sites are refused."""
    gateway = request.app[GATEWAY]
    origin = request.headers.get("Origin", "")
    if not is_shop(gateway, origin):
        hint = "add the origin to TAKK_GATEWAY_SITE_ORIGINS"
        return Problem(403, "unknown_origin", "the page is not one of the shop", hint).response()
    try:
        response = await _publish(request, gateway) if request.method == "POST" else web.Response(status=204)
    except Problem as problem:
        response = problem.response()
    # Also for errors, so that the script and the console of the browser see them.
    response.headers.update({"Access-Control-Allow-Origin": origin, "Vary": "Origin", "Cache-Control": "no-store"})
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "POST"
        response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        response.headers["Access-Control-Max-Age"] = "86400"
    return response


async def _publish(request: web.Request, gateway: Gateway) -> web.Response:
    if request.content_type not in _MEDIA:
        raise Problem(415, "unsupported_media_type", "the body is neither text/plain nor JSON")
    said = _parsed(await read_body(request, MAX_BYTES))
    now = gateway.now()
    customer_id = _customer(said, gateway, now)
    if not customer_id:
        return web.Response(status=204)
    issues: list[Issue] = []
    records = [
        record
        for number, event in enumerate(said["events"])
        if (record := _record(event, f"events[{number}]", customer_id, now, gateway, issues)) is not None
    ]
    try:
        if records:
            await gateway.publisher.publish(records)
    except (Unavailable, RecordRefused) as error:
        raise unpublished(error) from error
    if issues:
        errors = [issue.as_json() for issue in issues]
        raise Problem(422, "invalid_event", "at least one event is invalid", errors=errors)
    return web.Response(status=204)


def _parsed(body: bytes) -> dict[str, Any]:
    """Return the request of the script. Raise Problem (422) if it does not have the form of one."""
    try:
        said = parse_json(body)
    except InvalidJson as error:
        raise Problem(422, "invalid_request", str(error)) from None
    if not isinstance(said, dict) or not isinstance(said.get("events"), list) or len(said["events"]) > MAX_EVENTS:
        raise Problem(422, "invalid_request", f"expected an object with at most {MAX_EVENTS} events")
    if not isinstance(said.get("visitor", ""), str):
        raise Problem(422, "invalid_request", "visitor is not a text")
    return said


def _customer(said: dict[str, Any], gateway: Gateway, now: datetime) -> str:
    """Return the id of the customer whose browsing may be stored, else "". Raise Problem (404) if the token is not valid."""
    if said.get("consent") is not True or not said.get("visitor"):
        return ""
    try:
        customer_id = gateway.keys.open("v", said["visitor"], now).customer_id
    except BadLink as error:
        metrics.GATEWAY_BAD_LINKS.labels(error.reason).inc()
        raise Problem(404, "unknown_visitor", "the token of the visitor is not valid") from None
    return "" if refuses_tracking(gateway, customer_id) else customer_id


def _record(
    event: Any, path: str, customer_id: str, now: datetime, gateway: Gateway, issues: list[Issue]
) -> ProducerRecord | None:
    """Return the record of an event, or None with an issue."""
    found = Issues()
    for name in set(event) - FIELDS if isinstance(event, dict) else ():
        found.add(clipped_name(name), "unknown field")
    target = next(each for each in targets_in(gateway.settings.schemas_dir)["events"] if each.topic == topics.BROWSING)
    now_ms = (now - EPOCH) // timedelta(milliseconds=1)
    value = {**event, "customer_id": customer_id, "occurred_at": now_ms} if isinstance(event, dict) else event
    if (fields := target.convert(value, found)) is not None:
        try:
            target.decode(fields, now)
        except ValidationFailed as error:
            found.append(broken_rule(error, target.schema))
    if found or fields is None:
        issues += [
            Issue(f"{path}.{issue.field}" if issue.field else path, issue.message, issue.hint) for issue in found
        ]
        return None
    event_id = digest(customer_id, fields["kind"], fields["sku"], str(now_ms))
    return gateway.encoder.record(topics.BROWSING, customer_id, event_id, fields)


def routes() -> list[web.RouteDef]:
    """Return the routes of the site script."""
    return [
        web.get("/t.js", send_script, name="site_script"),
        web.post("/t", receive, name="site"),
        web.options("/t", receive, name="site_preflight"),
    ]
