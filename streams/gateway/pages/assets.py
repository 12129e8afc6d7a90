"""The style sheet and the logo of the pages."""

from __future__ import annotations

from aiohttp import web

from streams.gateway.context import GATEWAY
from streams.gateway.pages.base.site import site_of

#: Their addresses contain a version, so browsers may keep them.
_KEPT = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}


async def styles(request: web.Request) -> web.Response:
    """Return the style sheet."""
    site = site_of(request.app[GATEWAY].settings)
    return web.Response(body=site.styles, content_type="text/css", charset="utf-8", headers=_KEPT)


async def logo(request: web.Request) -> web.Response:
    """Return the logo. A picture of vectors may neither load anything nor run scripts."""
    site = site_of(request.app[GATEWAY].settings)
    if not site.logo:
        raise web.HTTPNotFound
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
    return web.Response(body=site.logo, content_type=site.logo_type, headers={**_KEPT, **policy})
