"""The HTTP application of the gateway: the routes of the features, and the guard in front of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from aiohttp import web

from streams.endpoints import Network
from streams.gateway import tracking
from streams.gateway.api import handlers as api
from streams.gateway.context import GATEWAY, Gateway
from streams.gateway.guard import BODY_TIMEOUT_S, GUARD, UNMATCHED, Guard
from streams.gateway.limits import RateLimit
from streams.gateway.pages.base.forms import ignore_bad_headers
from streams.gateway.pages.routes import routes as page_routes
from streams.gateway.requests import RECENT, RecentEvents
from streams.gateway.site import handlers as site

ROUTES: tuple[Callable[[], list[web.RouteDef]], ...] = (
    tracking.routes,
    page_routes,
    api.routes,
    site.routes,
)


def make_app(
    gateway: Gateway,
    *,
    trusted: Sequence[Network] = (),
    clock: Callable[[], float] = time.monotonic,
    body_timeout_s: float = BODY_TIMEOUT_S,
) -> web.Application:
    """Return the application. Run it by `GatewayRunner`, which puts its guard in front.

    Args:
        gateway: the context of the handlers.
        trusted: the networks of the proxies whose `X-Forwarded-For` is believed.
        clock: a monotonic clock, in seconds.
        body_timeout_s: seconds that a request with a body may take.

    Raises:
        KeyFileInvalid: the file of API keys is invalid.
    """
    ignore_bad_headers()
    app = web.Application()
    app[GATEWAY] = gateway
    app[api.PARTS] = api.Parts.of(gateway.settings)
    app[RECENT] = RecentEvents()
    tracker = app[tracking.TRACKER] = tracking.Tracker(gateway, app[RECENT])
    for routes in ROUTES:
        app.add_routes(routes())
    limit = RateLimit(gateway.settings.gateway_requests_per_minute, clock)
    app[GUARD] = Guard(app, tracker.quick(), limit, trusted, body_timeout_s)
    return app


def route_names() -> set[str]:
    """Return all values of the label."""
    return {str(route.kwargs.get("name", "other")) for routes in ROUTES for route in routes()} | {UNMATCHED}
