"""The HTTP application of the gateway: the routes of the features, and what holds for every request."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cache

import structlog
from aiohttp import web
from multidict import istr

from streams.endpoints import Network
from streams.gateway import tracking
from streams.gateway.api import handlers as api
from streams.gateway.context import GATEWAY, Gateway, Unavailable
from streams.gateway.limits import RateLimit, client_address
from streams.gateway.pages.base.forms import ignore_bad_headers
from streams.gateway.pages.routes import routes as page_routes
from streams.gateway.producers import RecordRefused
from streams.gateway.requests import RECENT, RecentEvents
from streams.gateway.site import handlers as site
from streams.observability import metrics

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Bytes of a body on paths without files: forms have a few fields. Handlers read no more than they need, whatever a client says.
MAX_FORM_BYTES = 64 << 10
#: Paths whose bodies may be large, and whose handlers say themselves that one is too large: pages with photos, and records of shops.
LARGE_BODIES = ("/r/", "/k/", "/v1/", "/hooks/")
#: Paths whose requests are limited only while they are invalid. One image proxy fetches the pictures of a million readers, one mail service
#: unsubscribes all its users, and a shop's own servers send all its orders: these requests prove with a token or a key that they are wanted.
LIMITED_IF_INVALID = ("/c/", "/o/", "/u/", "/v1/", "/hooks/")
#: Seconds that a request with a body may take. A client that sends slower is cut off.
BODY_TIMEOUT_S = 60.0
_CONTENT_POLICY = "default-src 'none'; style-src 'self'; img-src 'self' https: data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
#: Headers of every response. A page may set its own. Names that are an `istr` are not folded for each response, which takes 2 µs.
HEADERS = {
    istr("Content-Security-Policy"): _CONTENT_POLICY,
    istr("Referrer-Policy"): "no-referrer",
    istr("X-Content-Type-Options"): "nosniff",
    istr("Cache-Control"): "no-store",
    istr("Server"): "takk",
}
#: The header with the id of a request, which the log has too.
REQUEST_ID = istr("X-Request-Id")
#: The label of requests that match no route.
UNMATCHED = "unmatched"

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
    """Return the application.

    Args:
        gateway: the context of the handlers.
        trusted: the networks of the proxies whose `X-Forwarded-For` is believed.
        clock: a monotonic clock, in seconds.
        body_timeout_s: seconds that a request with a body may take.

    Raises:
        KeyFileInvalid: the file of API keys is invalid.
    """
    ignore_bad_headers()
    limit = RateLimit(gateway.settings.gateway_requests_per_minute, clock)

    def take(request: web.Request) -> int:
        return limit.take(client_address(request.remote, request.headers.getall("X-Forwarded-For", ()), trusted))

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        began, request_id = time.perf_counter(), new_request_id()
        structlog.contextvars.bind_contextvars(request_id=request_id)  # the task of this request alone has it
        is_late = request.path.startswith(LIMITED_IF_INVALID)
        if not is_late and (wait_s := take(request)):
            response: web.StreamResponse = _too_many(wait_s)
        else:
            response = await _answer(request, handler, body_timeout_s)
            if is_late and 400 <= response.status < 500 and (wait_s := take(request)):
                response = _too_many(wait_s)
        headers = response.headers
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers[REQUEST_ID] = request_id
        count, observe = _measures(route_of(request), response.status // 100)
        count()
        observe(time.perf_counter() - began)
        return response

    app = web.Application(middlewares=[guard])
    app[GATEWAY] = gateway
    app[api.PARTS] = api.Parts.of(gateway.settings)
    app[RECENT] = RecentEvents()
    for routes in ROUTES:
        app.add_routes(routes())
    return app


def new_request_id() -> str:
    """Return an id for logs. It may be guessed, so the system is not asked for random bytes, which takes 7 µs."""
    return f"{random.getrandbits(64):016x}"


@cache
def _measures(route: str, hundreds: int) -> tuple[Callable[[], None], Callable[[float], None]]:
    """Return what counts a response and what observes its seconds: finding them by their labels takes longer than using them."""
    return metrics.GATEWAY_REQUESTS.labels(route, f"{hundreds}xx").inc, metrics.GATEWAY_SECONDS.labels(route).observe


def route_of(request: web.Request) -> str:
    """Return the name of the route of a request, as a label: a bounded set of names, never a path."""
    resource = request.match_info.route.resource
    return UNMATCHED if resource is None else resource.name or "other"


def route_names() -> set[str]:
    """Return all values of the label."""
    return {str(route.kwargs.get("name", "other")) for routes in ROUTES for route in routes()} | {UNMATCHED}


async def _answer(request: web.Request, handler: Handler, body_timeout_s: float) -> web.StreamResponse:
    """Return the response of the handler, or a plain one for what it raised. Errors contain no details."""
    try:
        if not request.body_exists:
            return await handler(request)
        if (request.content_length or 0) > MAX_FORM_BYTES and not request.path.startswith(LARGE_BODIES):
            return plain(413)
        async with asyncio.timeout(body_timeout_s):
            return await handler(request)
    except web.HTTPException as error:
        if error.status >= 400:
            allowed = {name: value for name, value in error.headers.items() if name == "Allow"}  # RFC 9110, 15.5.6
            return plain(error.status, allowed)
        return web.Response(status=error.status, headers={"Location": error.headers["Location"]})
    except Unavailable as error:
        metrics.GATEWAY_UNAVAILABLE.inc()
        return plain(503, {"Retry-After": str(error.retry_after_s)})
    except RecordRefused:
        return plain(413)
    except TimeoutError:
        return plain(408)
    except (ConnectionError, web.RequestPayloadError):
        return plain(400)  # the client has gone, or its body is not complete
    except Exception as error:
        log.error("request failed", route=route_of(request), exc_info=error)
        return plain(500)


_PHRASES = {400: "Bad request", 404: "Not found", 405: "Method not allowed", 408: "Request timeout", 413: "Too large", 415: "Unsupported media type",
            417: "Expectation failed", 429: "Too many requests", 500: "Internal error", 503: "Unavailable"}  # fmt: skip


def plain(status: int, headers: dict[str, str] | None = None) -> web.Response:
    """Return a response of one line. Its connection is closed if the body of the request may not have been read."""
    response = web.Response(status=status, text=_PHRASES.get(status, "Error") + "\n", headers=headers)
    if status in (408, 413):
        response.force_close()
    return response


def _too_many(wait_s: int) -> web.Response:
    metrics.GATEWAY_LIMITED.inc()
    return plain(429, {"Retry-After": str(wait_s)})
