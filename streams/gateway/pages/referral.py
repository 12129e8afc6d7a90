"""The page of a friend: the code that a customer passed on, and the way into the shop. That it was used is seen on the friend's order."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from streams.gateway.pages.base.visit import Visit, shown


async def show(visit: Visit) -> web.Response:
    """Return the page."""
    brand, code = visit.site.brand, visit.link.target
    address = brand.referral.replace("{code}", quote(code, safe="")) if brand.referral else brand.shop_url
    return visit.page("referral.html.j2", code=code, shop_link=address)


get = shown("f", show)
