"""The worker's own web page: `/metrics`, `/livez` (the event loop moves), `/readyz` (restored and assigned)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import TypeAlias

from aiohttp import web

from streams.observability import metrics

#: Whether it is so, and words for people.
Status: TypeAlias = tuple[bool, str]

BEAT_S = 1.0


def _well() -> Status:
    return True, "ok"


class HealthServer:
    """Answers Prometheus and the probes of an orchestrator, from the event loop that does the work: a loop that hangs answers nothing.

    Args:
        host: the address to listen on.
        port: 0 for a free one; after `start`, `port` is the real one.
        is_ready: asked for every `/readyz`; must be quick.
        is_alive: asked for every `/livez`, after the heartbeat; must be quick.
        refresh: called before every `/metrics`, to set gauges that cost too much to keep up to date.
        patience_s: seconds without a heartbeat after which `/livez` says no.
    """

    def __init__(
        self,
        host: str,
        port: int,
        is_ready: Callable[[], Status],
        *,
        is_alive: Callable[[], Status] = _well,
        refresh: Callable[[], None] = lambda: None,
        patience_s: float = 30.0,
    ) -> None:
        self.host = host
        self.port = port
        self._is_ready = is_ready
        self._is_alive = is_alive
        self._refresh = refresh
        self._patience_s = patience_s
        self._beaten = 0.0
        self._heart: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen, and start the heartbeat.

        Raises:
            OSError: the port is taken; the message names the setting.
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
        self._beaten = time.monotonic()
        self._heart = asyncio.create_task(self._beat(), name="takk-heartbeat")

    async def stop(self) -> None:
        """Stop listening. Doing it again, or before `start`, is harmless."""
        heart, self._heart = self._heart, None
        if heart is not None:
            heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await heart
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            now = time.monotonic()
            metrics.LOOP_LAG.set(max(0.0, now - self._beaten - BEAT_S))
            self._beaten = now

    async def _metrics(self, request: web.Request) -> web.Response:
        self._refresh()
        return web.Response(body=metrics.page(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _livez(self, request: web.Request) -> web.Response:
        silent = time.monotonic() - self._beaten
        if silent > self._patience_s:
            return _answer((False, f"the event loop has not moved for {silent:.0f} s"))
        return _answer(self._is_alive())

    async def _readyz(self, request: web.Request) -> web.Response:
        return _answer(self._is_ready())


def _answer(status: Status) -> web.Response:
    is_well, words = status
    return web.Response(text=words + "\n", status=200 if is_well else 503)
