"""A process that waits for the schema registry says so by a metric."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from typing import Any

import pytest

from streams.agents import instrumentation
from streams.agents.instrumentation import Instrumentation, load_schemas
from streams.observability import metrics
from streams.runtime.errors import RegistryUnavailable


class AwayCodec:
    """A codec whose registry does not answer the first requests. Each request calls `on_request` with the metric's value."""

    has_registry = True

    def __init__(self, failures: int, on_request: Callable[[float], None] = lambda value: None) -> None:
        self._failures = failures
        self._on_request = on_request

    def missing(self, records: Any) -> set[str]:
        """Return the names of the schemas to load."""
        return {"order"}

    def load(self, names: Collection[str], since: float) -> None:
        """Load schemas."""
        self._on_request(unavailable())
        self._failures -= 1
        if self._failures >= 0:
            raise RegistryUnavailable("the registry answers 503")


def unavailable() -> float:
    """The value of the metric."""
    return metrics.REGISTRY.get_sample_value("takk_registry_unavailable") or 0.0


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instrumentation, "REGISTRY_PAUSE_S", 0.0)


@pytest.mark.parametrize("is_in_thread", [True, False])
def test_the_metric_is_1_while_the_registry_is_away(is_in_thread: bool) -> None:
    """It is 1 from the first request that fails until one succeeds, for the records of stages and those of global tables."""
    seen: list[float] = []
    codec: Any = AwayCodec(2, seen.append)
    if is_in_thread:
        work = Instrumentation.__new__(Instrumentation)
        work.codec = codec
        work.load_schemas([], threading.Event())
    else:
        asyncio.run(load_schemas(codec, {"order"}, 0.0))
    assert (seen, unavailable()) == ([0.0, 1.0, 1.0], 0.0)


async def test_the_metric_is_0_after_the_partition_was_revoked() -> None:
    """Nobody waits any more, although the registry has not answered."""
    is_away = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_request(value: float) -> None:
        if value:
            loop.call_soon_threadsafe(is_away.set)

    codec: Any = AwayCodec(1 << 30, on_request)
    waiting = asyncio.create_task(load_schemas(codec, {"order"}, 0.0))
    await is_away.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert unavailable() == 0.0
