"""Metrics and the page they are on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import aiohttp
import pytest

from streams import metrics
from streams.health import HealthServer

BOUNDED = {"stage", "topic", "partition", "flow", "outcome", "rule", "reason", "action", "agent", "kind", "currency"}


def test_the_list_is_closed() -> None:
    """What is in Takk's registry under its own name is on the list, and the other way round."""
    families = {family.name for family in metrics.REGISTRY.collect() if family.name.startswith("takk_")}
    assert families == {family.name for metric in metrics.ALL for family in metric.describe()}


def test_names_help_and_labels() -> None:
    """Each has a help text and only labels that are bounded; no two have one name."""
    for metric in metrics.ALL:
        (family,) = metric.describe()
        assert re.fullmatch(r"takk_[a-z]+(_[a-z]+)*", family.name)
        assert family.documentation.endswith(".")
        assert set(metric._labelnames) <= BOUNDED
    assert len({metric.describe()[0].name for metric in metrics.ALL}) == len(metrics.ALL)


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


@pytest.fixture
async def server(worker: Worker) -> AsyncIterator[HealthServer]:
    server = HealthServer(
        "127.0.0.1", 0, lambda: worker.ready, is_alive=lambda: worker.alive, refresh=worker.refresh, patience_s=5
    )
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
    """/readyz says 503 and why until the worker is ready."""
    assert await get(server, "/readyz") == (503, "restoring: 40 %\n")
    worker.ready = (True, "4 partitions")
    assert await get(server, "/readyz") == (200, "4 partitions\n")


async def test_liveness(server: HealthServer, worker: Worker) -> None:
    """/livez says 503 when the loop has not moved for too long, or the worker says so itself."""
    assert (await get(server, "/livez"))[0] == 200
    worker.alive = (False, "stuck")
    assert await get(server, "/livez") == (503, "stuck\n")
    worker.alive = (True, "ok")
    server._beaten -= 60  # as if nothing had run for a minute
    status, text = await get(server, "/livez")
    assert (status, text[:44]) == (503, "the event loop has not moved for 60 s\n")


async def test_port_taken(server: HealthServer) -> None:
    """A port that is taken is said with the setting that changes it; stopping twice is harmless."""
    second = HealthServer("127.0.0.1", server.port, lambda: (True, "ok"))
    with pytest.raises(OSError, match="TAKK_WEB_PORT"):
        await second.start()
    await second.stop()
    await second.stop()
