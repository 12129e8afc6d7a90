"""The connections of the gateway: what aiohttp answers itself, before a request reaches the application, looks like every other answer.

Requests that cannot be parsed, and those with an unknown expectation (RFC 9110, 10.1.1), never reach the middleware of the application.
aiohttp would answer them with its name and version, and with parts of the request.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from streams.gateway.server import HEADERS, REQUEST_ID, UNMATCHED, new_request_id, plain
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


class GatewayRunner(web.AppRunner):
    """Runs the application of a gateway.

    Args:
        app: the application.
        options: those of `AppRunner`.
    """

    def __init__(self, app: web.Application, **options: Any) -> None:
        super().__init__(
            app,
            access_log=None,
            logger=_connection_log(),
            lingering_time=LINGERING_S,
            auto_decompress=False,  # no client of the gateway compresses a body, and signatures are made of its bytes
            **options,
        )

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, loop=made._loop, **made._kwargs)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response; one of aiohttp itself is replaced by a plain one."""
        if REQUEST_ID not in resp.headers:
            resp = plain(resp.status)
            resp.force_close()
            resp.headers.update({**HEADERS, REQUEST_ID: new_request_id()})
            metrics.GATEWAY_REQUESTS.labels(UNMATCHED, f"{resp.status // 100}xx").inc()
        return await super().finish_response(request, resp, start_time)
