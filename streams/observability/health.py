"""The health server: `/metrics`, `/livez` (the event loop runs) and `/readyz` (partitions are assigned and restored)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TypeAlias

from aiohttp import web

from streams.observability import metrics

#: Whether a probe succeeds, and a text for people.
Status: TypeAlias = tuple[bool, str]

#: Seconds between two heartbeats.
HEARTBEAT_S = 1.0


def _alive() -> Status:
    return True, "ok"


class HealthServer:
    """Answers Prometheus and the probes of an orchestrator, in the event loop that processes the batches: a blocked loop does not answer.

    Args:
        host: the address to listen on.
        port: the port, or 0 for a free one. After `start`, the attribute `port` is the actual port.
        is_ready: called for every `/readyz`; must be fast.
        is_alive: called for every `/livez`, after the check of the heartbeat; must be fast.
        refresh: called before every `/metrics`, to set gauges that are too costly to keep up to date.
        timeout_s: seconds without a heartbeat after which `/livez` fails.
    """

    def __init__(
        self,
        host: str,
        port: int,
        is_ready: Callable[[], Status],
        *,
        is_alive: Callable[[], Status] = _alive,
        refresh: Callable[[], None] = lambda: None,
        timeout_s: float = 30.0,
    ) -> None:
        self.host = host
        self.port = port
        self._is_ready = is_ready
        self._is_alive = is_alive
        self._refresh = refresh
        self._timeout_s = timeout_s
        self._last_beat = 0.0
        self._heartbeat: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen, and start the heartbeat.

        Raises:
            OSError: the port is in use; the message names the setting.
        """
        app = web.Application()
        app.add_routes(
            [
                web.get("/metrics", self._metrics),
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
            ]
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.host, self.port).start()
        except OSError as error:
            await runner.cleanup()
            raise OSError(
                error.errno, f"cannot listen on {self.host}:{self.port} ({error.strerror}): set TAKK_WEB_PORT"
            ) from error
        self.port = int(runner.addresses[0][1])
        self._runner = runner
        self._last_beat = time.monotonic()
        self._heartbeat = asyncio.create_task(self._beat(), name="takk-heartbeat")

    async def stop(self) -> None:
        """Stop listening. A second call, or a call before `start`, does nothing."""
        heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            heartbeat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await heartbeat
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            now = time.monotonic()
            metrics.LOOP_LAG.set(max(0.0, now - self._last_beat - HEARTBEAT_S))
            self._last_beat = now

    async def _metrics(self, request: web.Request) -> web.Response:
        self._refresh()
        # A thread, because a shop with fifty flows has some ten thousand series.
        page = await asyncio.to_thread(metrics.page)
        return web.Response(body=page, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _livez(self, request: web.Request) -> web.Response:
        silence_s = time.monotonic() - self._last_beat
        if silence_s > self._timeout_s:
            return _answer((False, f"the event loop has been blocked for {silence_s:.0f} s"))
        return _answer(self._is_alive())

    async def _readyz(self, request: web.Request) -> web.Response:
        return _answer(self._is_ready())


def _answer(status: Status) -> web.Response:
    is_ok, text = status
    return web.Response(text=text + "\n", status=200 if is_ok else 503)
