"""Unsubscribing: the page of `/u/T` with its button, and the one-click request that mail programs send (RFC 8058).

A GET changes nothing, because scanners follow links. The POST of a mail program has the body `List-Unsubscribe=One-Click` and neither cookies
nor a page before it, so the token alone authorizes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from streams.gateway.context import GATEWAY
from streams.gateway.requests import RECENT, engagement, event_id, minute_of, open_link
from streams.mail.tokens import Link

#: The emails that a customer can refuse.
SCOPES: tuple[str, ...] = ("marketing", "review", "survey", "service")
#: The form field of a one-click request, and its value.
ONE_CLICK = ("List-Unsubscribe", "One-Click")

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Unsubscribe</title></head>
<body><main><h1>Unsubscribe</h1>{body}</main></body></html>
"""
_FORM = '<form method="post"><p>You will no longer receive these emails.</p><button name="scope" value="{scope}">Unsubscribe</button></form>'
_DONE = "<p>You are unsubscribed.</p>"


def routes() -> list[web.RouteDef]:
    """Return the routes of unsubscribing."""
    return [
        web.get("/u/{token}", page, name="unsubscribe"),
        web.post("/u/{token}", act),
    ]


def is_one_click(form: Mapping[str, Any]) -> bool:
    """Return whether a form is the one-click request of RFC 8058."""
    return form.get(ONE_CLICK[0]) == ONE_CLICK[1]


def scope_of(link: Link) -> str:
    """Return the emails that a link refuses. An unknown scope refuses all that are not transactional."""
    return link.target if link.target in SCOPES else "marketing"


async def unsubscribe(request: web.Request, link: Link, scope: str) -> None:
    """Publish that a customer no longer wants the emails of `scope`.

    Raises:
        Unavailable: the record is not safe.
    """
    gateway, recent = request.app[GATEWAY], request.app[RECENT]
    now = gateway.now()
    id = event_id("u", link.send_id, link.target, "unsubscribed", f"{minute_of(now)}:{scope}")
    if not recent.is_repeat(id):
        await gateway.publisher.publish([engagement(gateway, link, "unsubscribed", now, id, scope=scope)])
        recent.add(id)


async def one_click(request: web.Request, link: Link) -> web.Response:
    """Unsubscribe at once, and answer as RFC 8058 asks: 200, no redirect."""
    await unsubscribe(request, link, scope_of(link))
    return web.Response(text="Unsubscribed\n")


async def page(request: web.Request) -> web.Response:
    """Show the page with the button."""
    link = open_link(request, "u")
    return _html(_FORM.format(scope=scope_of(link)))


async def act(request: web.Request) -> web.Response:
    """Unsubscribe: for a mail program, or for the button of the page."""
    link = open_link(request, "u")
    form = await request.post()
    if is_one_click(form):
        return await one_click(request, link)
    scope = form.get("scope")
    if scope not in SCOPES:
        raise web.HTTPBadRequest
    await unsubscribe(request, link, str(scope))
    return _html(_DONE)


def _html(body: str) -> web.Response:
    return web.Response(text=_PAGE.format(body=body), content_type="text/html")
