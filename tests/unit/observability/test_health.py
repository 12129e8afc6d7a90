"""The health server, which Prometheus and the probes of an orchestrator read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import aiohttp
import pytest

from streams.observability import metrics
from streams.observability.health import HealthServer


class Worker:
    """A fake of a worker's state."""

    def __init__(self) -> None:
        self.ready = (False, "restoring: 40 %")
        self.alive = (True, "ok")
        self.refreshed = 0

    def refresh(self) -> None:
        self.refreshed += 1


@pytest.fixture
def worker() -> Worker:
    return Worker()


def health_of(worker: Worker) -> HealthServer:
    """Return a health server for `worker` on a free port."""
    return HealthServer(
        "127.0.0.1", 0, lambda: worker.ready, is_alive=lambda: worker.alive, refresh=worker.refresh, timeout_s=5
    )


@pytest.fixture
async def server(worker: Worker) -> AsyncIterator[HealthServer]:
    server = health_of(worker)
    await server.start()
    yield server
    await server.stop()


async def get(server: HealthServer, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(server.url + path) as answer:
        return answer.status, await answer.text()


async def test_metrics_page(server: HealthServer, worker: Worker) -> None:
    """/metrics contains Takk's and the process's metrics, refreshed."""
    metrics.RECORDS_IN.labels(stage="flows", topic="orders").inc(3)
    status, text = await get(server, "/metrics")
    assert status == 200
    assert 'takk_records_in_total{stage="flows",topic="orders"}' in text
    assert "process_resident_memory_bytes" in text
    assert worker.refreshed == 1


async def test_readiness(server: HealthServer, worker: Worker) -> None:
    """/readyz answers 503 with the reason until the worker is ready, and again once it no longer is."""
    assert await get(server, "/readyz") == (503, "restoring: 40 %\n")
    worker.ready = (True, "4 partitions")
    assert await get(server, "/readyz") == (200, "4 partitions\n")
    worker.ready = (False, "rebalancing")
    assert await get(server, "/readyz") == (503, "rebalancing\n")


async def test_liveness(server: HealthServer, worker: Worker) -> None:
    """/livez answers 200 for a worker that is not ready, and 503 for one that is stuck."""
    assert (await get(server, "/livez"))[0] == 200
    worker.alive = (False, "stuck")
    assert await get(server, "/livez") == (503, "stuck\n")


async def test_a_late_heartbeat(server: HealthServer) -> None:
    """/livez answers 503 after too long a time without a heartbeat."""
    server._last_beat -= 60  # as if the last heartbeat was a minute ago
    status, text = await get(server, "/livez")
    assert (status, text) == (503, "the event loop has been blocked for 60 s\n")


async def test_a_blocked_loop(worker: Worker) -> None:
    """While the worker's event loop is blocked, /livez does not answer, so a probe fails. Afterwards it answers again."""
    server = health_of(worker)
    blocked, resume = threading.Event(), threading.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(server.start(), loop))
        assert (await get(server, "/livez"))[0] == 200

        def block() -> None:
            blocked.set()
            resume.wait(30)

        loop.call_soon_threadsafe(block)
        assert await asyncio.to_thread(blocked.wait, 30)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(get(server, "/livez"), 0.2)
        resume.set()
        assert (await get(server, "/livez"))[0] == 200
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(server.stop(), loop))
    finally:
        resume.set()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def test_port_taken(server: HealthServer) -> None:
    """The error for a port in use names the setting that changes it. Stopping twice does nothing."""
    second = HealthServer("127.0.0.1", server.port, lambda: (True, "ok"))
    with pytest.raises(OSError, match="TAKK_WEB_PORT"):
        await second.start()
    await second.stop()
    await second.stop()
