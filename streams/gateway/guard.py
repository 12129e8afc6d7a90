"""The guard: what holds for every request, before and after its handler.

It runs in front of aiohttp's router. Most requests are clicks and opens, which need no router: their handlers are found by the first part of
the path. All other requests go to the application.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache

import structlog
from aiohttp import HttpVersion11, hdrs, web

from streams.endpoints import Network
from streams.gateway.answers import complete, new_request_id, plain
from streams.gateway.context import Unavailable
from streams.gateway.limits import RateLimit, client_address
from streams.gateway.producers import RecordRefused
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
#: Characters of the first part of a path with its slashes: the key of a quick handler.
PREFIX = 3
#: The label of requests that match no route.
UNMATCHED = "unmatched"


class Guard:
    """Answers requests: checks the limits, calls the handler, and adds headers, metrics and the id of the request.

    Args:
        app: the application.
        quick: for the first part of a path, the name of its route and the handler of its usual requests. All these paths are limited only while
            their requests are invalid.
        limit: of each address.
        trusted: the networks of the proxies whose `X-Forwarded-For` is believed.
        body_timeout_s: seconds that a request with a body may take.
    """

    def __init__(
        self,
        app: web.Application,
        quick: Mapping[str, tuple[str, Handler]],
        limit: RateLimit,
        trusted: Sequence[Network] = (),
        body_timeout_s: float = BODY_TIMEOUT_S,
    ) -> None:
        self._app = app
        self._quick = quick
        self._limit = limit
        self._trusted = trusted
        self._body_timeout_s = body_timeout_s
        self._route: Handler

    def start(self, route: Handler) -> None:
        """Answer from now on, with aiohttp's handler of the application for all requests that are not quick."""
        self._route = route

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Return the response of a request."""
        began, request_id = time.perf_counter(), new_request_id()
        path = request.rel_url.raw_path
        quick = self._quick.get(path[:PREFIX])
        if quick is not None and _is_usual(request, path):
            name, handler = quick
            response, is_late = await self._answer(request, handler, name, request_id), True
        else:
            structlog.contextvars.bind_contextvars(request_id=request_id)  # the task of this request alone has it
            is_late = request.path.startswith(LIMITED_IF_INVALID)
            if refused := self._refused(request, is_late=is_late):
                name, response = _label((await self._app.router.resolve(request)).route), refused
            else:
                response = await self._answer(request, self._route, "", request_id)
                name = _label(request.match_info.route)
        if is_late and 400 <= response.status < 500 and (wait_s := self._take(request)):
            response = _too_many(wait_s)
        complete(response, request_id)
        count, observe = _measures(name, response.status // 100)
        count()
        observe(time.perf_counter() - began)
        return response

    def _refused(self, request: web.Request, *, is_late: bool) -> web.Response | None:
        """Return the response of a request that no handler sees, or None."""
        if not is_late and (wait_s := self._take(request)):
            return _too_many(wait_s)
        if (request.content_length or 0) > MAX_FORM_BYTES and not request.path.startswith(LARGE_BODIES):
            return plain(413)
        return None

    def _take(self, request: web.Request) -> int:
        forwarded = request.headers.getall("X-Forwarded-For", ())
        return self._limit.take(client_address(request.remote, forwarded, self._trusted))

    async def _answer(self, request: web.Request, handler: Handler, name: str, request_id: str) -> web.StreamResponse:
        """Return the response of the handler, or a plain one for what it raised. Errors contain no details."""
        try:
            if not request.body_exists:
                return await handler(request)
            async with asyncio.timeout(self._body_timeout_s):
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
            route = name or _label(request.match_info.route)
            log.error("request failed", route=route, request_id=request_id, exc_info=error)
            return plain(500)


#: The guard of an application: `app[GUARD]`.
GUARD: web.AppKey[Guard] = web.AppKey("guard", Guard)


def _is_usual(request: web.Request, path: str) -> bool:
    """Return whether a quick handler may answer: the router would find the same, and the connection stays open."""
    return (
        request.method == hdrs.METH_GET
        and request.version == HttpVersion11
        and request.keep_alive
        and not request.body_exists
        and "/" not in path[PREFIX:]
        and "%" not in path
        and hdrs.EXPECT not in request.headers
    )


@cache
def _measures(route: str, hundreds: int) -> tuple[Callable[[], None], Callable[[float], None]]:
    """Return what counts a response and what observes its seconds: finding them by their labels takes longer than using them."""
    return metrics.GATEWAY_REQUESTS.labels(route, f"{hundreds}xx").inc, metrics.GATEWAY_SECONDS.labels(route).observe


def _label(route: web.AbstractRoute) -> str:
    """Return the name of a route, as a label: a bounded set of names, never a path."""
    resource = route.resource
    return UNMATCHED if resource is None else resource.name or "other"


def _too_many(wait_s: int) -> web.Response:
    metrics.GATEWAY_LIMITED.inc()
    return plain(429, {"Retry-After": str(wait_s)})
