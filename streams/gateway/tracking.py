"""Clicks and opens: `/c/T` redirects to the link's own address, and `/o/T` is a picture of one transparent pixel.

The address of a redirect is inside the sealed token, so nobody else can choose it. A redirect and a picture never depend on Kafka: if
neither Kafka nor the spool takes the record, the customer still gets the page, and the loss is counted.
"""

from __future__ import annotations

from aiohttp import web

from streams.gateway.classification import classify
from streams.gateway.context import GATEWAY, Unavailable
from streams.gateway.producers import RecordRefused
from streams.gateway.requests import RECENT, engagement, event_id, minute_of, open_link
from streams.gateway.site.visitors import ascii_address, named_target
from streams.mail.tokens import Link
from streams.observability import metrics
from streams.wire.validation import MAX_LINK

#: A transparent GIF of one pixel.
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


def routes() -> list[web.RouteDef]:
    """Return the routes of clicks and opens."""
    return [
        web.get("/c/{token}", click, name="click"),
        web.get("/o/{token}", opening, name="open"),
    ]


async def click(request: web.Request) -> web.Response:
    """Redirect to the address of a link, and record the click. A HEAD request is not a click."""
    link = open_link(request, "c")
    if not link.target[:8].lower().startswith(("http://", "https://")) or not link.target.isprintable():
        metrics.GATEWAY_BAD_LINKS.labels("malformed").inc()
        raise web.HTTPNotFound
    gateway = request.app[GATEWAY]
    if request.method == "GET":
        await _record(request, link, "clicked", "c")
    return web.Response(status=302, headers={"Location": ascii_address(named_target(gateway, link))})


async def opening(request: web.Request) -> web.Response:
    """Return the pixel, and record the open."""
    link = open_link(request, "o")
    if request.method == "GET":
        await _record(request, link, "opened", "o")
    return web.Response(body=PIXEL, content_type="image/gif")


async def _record(request: web.Request, link: Link, kind: str, use: str) -> None:
    gateway, recent = request.app[GATEWAY], request.app[RECENT]
    now = gateway.now()
    agent = classify("clicked" if kind == "clicked" else "opened", request.headers)
    # The class is part of the id: a scanner's click must not hide the click of the person in the same minute.
    id = event_id(use, link.send_id, link.target, kind, f"{minute_of(now)}:{agent}")
    if recent.is_repeat(id):
        return
    # Workers refuse a longer link. Where the click leads does not depend on the record.
    fields = {"agent": agent, "link": link.target[:MAX_LINK]} if kind == "clicked" else {"agent": agent}
    try:
        await gateway.publisher.publish([engagement(gateway, link, kind, now, id, **fields)])
    except (Unavailable, RecordRefused):
        metrics.GATEWAY_UNRECORDED.labels(kind).inc()
    else:
        recent.add(id)
