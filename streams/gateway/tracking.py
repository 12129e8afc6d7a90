"""Clicks and opens: `/c/T` redirects to the link's own address, and `/o/T` is a picture of one transparent pixel.

The address of a redirect is inside the sealed token, so nobody else can choose it. A redirect and a picture never depend on Kafka: if
neither Kafka nor the spool takes the record, the customer still gets the page, and the loss is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from aiohttp import web

from streams.gateway.answers import QuickResponse
from streams.gateway.classification import classify
from streams.gateway.context import Gateway, Unavailable
from streams.gateway.guard import PREFIX, Handler
from streams.gateway.producers import RecordRefused
from streams.gateway.requests import RecentEvents, event_id, minute_of, open_token
from streams.gateway.site.visitors import ascii_address, named_target
from streams.mail.tokens import BadLink, Link
from streams.observability import metrics
from streams.wire.validation import MAX_LINK

#: A transparent GIF of one pixel.
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


class Tracker:
    """Answers clicks and opens. Most of them are quick (see `streams/gateway/guard.py`); all others come by the routes.

    Args:
        gateway: the context.
        recent: the newest events.
    """

    def __init__(self, gateway: Gateway, recent: RecentEvents) -> None:
        self._gateway = gateway
        self._recent = recent

    def quick(self) -> dict[str, tuple[str, Handler]]:
        """Return the names of the routes and the handlers of usual requests, by the first part of the path."""
        return {"/c/": ("click", self._quick_click), "/o/": ("open", self._quick_opening)}

    async def _quick_click(self, request: web.Request) -> web.StreamResponse:
        location = await self.follow(request.rel_url.raw_path[PREFIX:], request.headers, is_recorded=True)
        return QuickResponse(302, "Location", location)

    async def _quick_opening(self, request: web.Request) -> web.StreamResponse:
        await self.show(request.rel_url.raw_path[PREFIX:], request.headers, is_recorded=True)
        return QuickResponse(200, "Content-Type", "image/gif", PIXEL)

    async def follow(self, token: str, headers: Mapping[str, str], *, is_recorded: bool) -> str:
        """Return the address of a link, and record the click.

        Raises:
            web.HTTPNotFound: the token is not valid for a link.
        """
        now = self._gateway.now()
        link = self._open("c", token, now)
        if not link.target[:8].lower().startswith(("http://", "https://")) or not link.target.isprintable():
            metrics.GATEWAY_BAD_LINKS.labels("malformed").inc()
            raise web.HTTPNotFound
        if is_recorded:
            await self._record(link, "clicked", "c", headers, now)
        return ascii_address(named_target(self._gateway, link))

    async def show(self, token: str, headers: Mapping[str, str], *, is_recorded: bool) -> None:
        """Record the open.

        Raises:
            web.HTTPNotFound: the token is not valid for a pixel.
        """
        now = self._gateway.now()
        link = self._open("o", token, now)
        if is_recorded:
            await self._record(link, "opened", "o", headers, now)

    def _open(self, use: Literal["c", "o"], token: str, now: datetime) -> Link:
        try:
            return open_token(self._gateway, use, token, now)
        except BadLink:
            raise web.HTTPNotFound from None

    async def _record(
        self, link: Link, kind: Literal["clicked", "opened"], use: str, headers: Mapping[str, str], now: datetime
    ) -> None:
        agent = classify(kind, headers)
        # The class is part of the id: a scanner's click must not hide the click of the person in the same minute.
        id = event_id(use, link.send_id, link.target, kind, f"{minute_of(now)}:{agent}")
        if self._recent.is_repeat(id):
            return
        # Workers refuse a longer link. Where the click leads does not depend on the record.
        address = link.target[:MAX_LINK] if kind == "clicked" else None
        try:
            record = self._gateway.encoder.tracked(
                link.customer_id, link.send_id or None, kind, now, address, agent, id
            )
            await self._gateway.publisher.publish([record])
        except (Unavailable, RecordRefused):
            metrics.GATEWAY_UNRECORDED.labels(kind).inc()
        else:
            self._recent.add(id)


#: The tracker of an application: `request.app[TRACKER]`.
TRACKER: web.AppKey[Tracker] = web.AppKey("tracker", Tracker)


def routes() -> list[web.RouteDef]:
    """Return the routes of clicks and opens."""
    return [
        web.get("/c/{token}", click, name="click"),
        web.get("/o/{token}", opening, name="open"),
    ]


async def click(request: web.Request) -> web.Response:
    """Redirect to the address of a link, and record the click. A HEAD request is not a click."""
    token, is_recorded = request.match_info["token"], request.method == "GET"
    location = await request.app[TRACKER].follow(token, request.headers, is_recorded=is_recorded)
    return web.Response(status=302, headers={"Location": location})


async def opening(request: web.Request) -> web.Response:
    """Return the pixel, and record the open."""
    token, is_recorded = request.match_info["token"], request.method == "GET"
    await request.app[TRACKER].show(token, request.headers, is_recorded=is_recorded)
    return web.Response(body=PIXEL, content_type="image/gif")
