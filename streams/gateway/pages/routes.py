"""The routes of the pages, which the server of the gateway adds to its own."""

from __future__ import annotations

from types import ModuleType

from aiohttp import web

from streams.gateway.pages import assets, confirm, contest, preferences, referral, reorder, review, survey, unsubscribe

#: The page of each use of links, with its name in metrics.
_PAGES: dict[str, tuple[str, ModuleType]] = {
    "u": ("unsubscribe", unsubscribe),
    "p": ("preferences", preferences),
    "r": ("review", review),
    "s": ("survey", survey),
    "b": ("reorder", reorder),
    "f": ("referral", referral),
    "k": ("contest", contest),
    "a": ("confirm", confirm),
}


def routes() -> list[web.RouteDef]:
    """Return the routes of the pages, their style sheet and the logo."""
    found = [
        web.get("/assets/pages.css", assets.styles, name="styles"),
        web.get("/assets/logo", assets.logo, name="logo"),
    ]
    for use, (name, page) in _PAGES.items():
        path = f"/{use}/{{token}}"
        found.append(web.get(path, page.get, name=name))
        if hasattr(page, "post"):
            found.append(web.post(path, page.post, name=name))  # the same resource, and so the same label
    return found
