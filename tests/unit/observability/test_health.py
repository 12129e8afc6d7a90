"""The page that Prometheus and the probes of an orchestrator read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import aiohttp
import pytest

from streams.observability import metrics
from streams.observability.health import HealthServer


class Worker:
    """A stand-in for what a worker says of itself."""

    def __init__(self) -> None:
        self.ready = (False, "restoring: 40 %")
        self.alive = (True, "ok")
        self.refreshed = 0

    def refresh(self) -> None:
        self.refreshed += 1


@pytest.fixture
def worker() -> Worker:
    return Worker()


def page_of(worker: Worker) -> HealthServer:
    """A page that tells of `worker`, on a free port."""
    return HealthServer(
        "127.0.0.1", 0, lambda: worker.ready, is_alive=lambda: worker.alive, refresh=worker.refresh, patience_s=5
    )


@pytest.fixture
async def server(worker: Worker) -> AsyncIterator[HealthServer]:
    server = page_of(worker)
    await server.start()
    yield server
    await server.stop()


async def get(server: HealthServer, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(server.url + path) as answer:
        return answer.status, await answer.text()


async def test_metrics_page(server: HealthServer, worker: Worker) -> None:
    """/metrics has Takk's metrics and the process's, freshly made."""
    metrics.RECORDS_IN.labels(stage="flows", topic="orders").inc(3)
    status, text = await get(server, "/metrics")
    assert status == 200
    assert 'takk_records_in_total{stage="flows",topic="orders"}' in text
    assert "process_resident_memory_bytes" in text
    assert worker.refreshed == 1


async def test_readiness(server: HealthServer, worker: Worker) -> None:
    """/readyz says 503 and why until the worker is ready, and again when it no longer is."""
    assert await get(server, "/readyz") == (503, "restoring: 40 %\n")
    worker.ready = (True, "4 partitions")
    assert await get(server, "/readyz") == (200, "4 partitions\n")
    worker.ready = (False, "rebalancing")
    assert await get(server, "/readyz") == (503, "rebalancing\n")


async def test_liveness(server: HealthServer, worker: Worker) -> None:
    """/livez says 200 also to a worker that is not ready, and 503 when the worker says that it is stuck."""
    assert (await get(server, "/livez"))[0] == 200
    worker.alive = (False, "stuck")
    assert await get(server, "/livez") == (503, "stuck\n")


async def test_a_loop_that_moves_too_late(server: HealthServer) -> None:
    """/livez says 503 when the heart has not beaten for longer than the patience."""
    server._beaten -= 60  # as if nothing had run for a minute
    status, text = await get(server, "/livez")
    assert (status, text[:44]) == (503, "the event loop has not moved for 60 s\n")


async def test_a_loop_that_stands_still(worker: Worker) -> None:
    """While the worker's loop is blocked nobody answers /livez, so a probe fails; once it moves, /livez answers."""
    server = page_of(worker)
    blocked, go_on = threading.Event(), threading.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(server.start(), loop))
        assert (await get(server, "/livez"))[0] == 200

        def block() -> None:
            blocked.set()
            go_on.wait(30)

        loop.call_soon_threadsafe(block)
        assert await asyncio.to_thread(blocked.wait, 30)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(get(server, "/livez"), 0.2)
        go_on.set()
        assert (await get(server, "/livez"))[0] == 200
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(server.stop(), loop))
    finally:
        go_on.set()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def test_port_taken(server: HealthServer) -> None:
    """A port that is taken is said with the setting that changes it; stopping twice is harmless."""
    second = HealthServer("127.0.0.1", server.port, lambda: (True, "ok"))
    with pytest.raises(OSError, match="TAKK_WEB_PORT"):
        await second.start()
    await second.stop()
    await second.stop()
