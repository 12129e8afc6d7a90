"""The connections of the gateway: each request goes to the guard, and what cannot be parsed gets an answer like every other one.

aiohttp answers requests that cannot be parsed itself. It would do so with its name and version, and with parts of the request.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from streams.gateway.answers import complete, new_request_id, plain
from streams.gateway.guard import GUARD, UNMATCHED, Guard
from streams.observability import metrics

#: Seconds in which the rest of a body is read and dropped after its answer, so that the client reads the answer.
LINGERING_S = 2.0
#: The errors of connections that clients cause.
_BY_CLIENTS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)


class _ConnectionLog(logging.Filter):
    """Leaves out what clients do wrong, and the addresses of clients, in the log of aiohttp."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is logged."""
        record.msg, record.args = "an HTTP connection failed", ()
        return not (record.exc_info and isinstance(record.exc_info[1], _BY_CLIENTS))


def _connection_log() -> logging.Logger:
    """Return the logger for aiohttp's connections."""
    logger = logging.getLogger(__name__)
    logger.filters[:] = [_ConnectionLog()]
    return logger


class GatewayRunner(web.ServerRunner):
    """Runs the application of a gateway behind its guard. Create it in the event loop.

    Args:
        app: the application, from `make_app`.
        shutdown_timeout: seconds that requests may still take at the end.
        options: those of aiohttp's connections.
    """

    def __init__(self, app: web.Application, *, shutdown_timeout: float = 60.0, **options: Any) -> None:
        self._guard = app[GUARD]
        # It has no connections. It starts and ends the application, and has the handler that routes requests.
        self._application = web.AppRunner(app)
        self._connections = _Server(self._guard, options)
        super().__init__(self._connections, shutdown_timeout=shutdown_timeout)

    async def setup(self) -> None:
        """Start the application."""
        await self._application.setup()
        routed = cast(web.Server, self._application.server)  # it is there after the setup
        self._connections.request_factory = routed.request_factory
        self._guard.start(routed.request_handler)
        await super().setup()

    async def cleanup(self) -> None:
        """Answer the requests that are there, close the connections, and end the application."""
        await super().cleanup()
        await self._application.cleanup()


class _Server(web.Server):
    """Makes the connections.

    Args:
        guard: answers the requests.
        options: of each connection.
    """

    def __init__(self, guard: Guard, options: dict[str, Any]) -> None:
        super().__init__(cast(Any, guard), handler_cancellation=options.pop("handler_cancellation", False))
        self._options = {
            **options,
            "access_log": None,
            "logger": _connection_log(),
            "lingering_time": LINGERING_S,
            "auto_decompress": False,  # no client of the gateway compresses a body, and signatures are made of its bytes
        }

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=asyncio.get_running_loop(), **self._options)


class _Connection(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return a plain response to a request that is not one."""
        super().handle_error(request, status, exc, message)  # logs the error
        response = plain(status)
        response.force_close()
        complete(response, new_request_id())
        metrics.GATEWAY_REQUESTS.labels(UNMATCHED, f"{status // 100}xx").inc()
        return response
