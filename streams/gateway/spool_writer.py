"""The requests that wait for the spool. All that came while one write lasted are written together."""

from __future__ import annotations

import asyncio
import time

import structlog

from streams.gateway.context import Unavailable
from streams.gateway.producers import PendingRequest
from streams.gateway.spool import Spool
from streams.observability import metrics
from streams.runtime import failpoints

log = structlog.get_logger(__name__)


class SpoolWriter:
    """Writes requests to the spool in their order, while `run` runs. Use it in one event loop.

    Args:
        spool: the spool.

    Attributes:
        lock: held while requests are written. New requests wait while another holder has it.
        is_full: whether the newest requests did not all fit, or the disk failed.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.lock = asyncio.Lock()
        self.is_full = False
        #: Oldest first.
        self._waiting: list[PendingRequest] = []
        self._wake = asyncio.Event()

    @property
    def is_idle(self) -> bool:
        """Whether no request waits or is written."""
        return not self._waiting and not self.lock.locked()

    def add(self, request: PendingRequest) -> None:
        """Write a request soon. It succeeds after fsync, or fails with `Unavailable`."""
        self._waiting.append(request)
        self._wake.set()

    def take_back(self) -> list[PendingRequest]:
        """Return the requests that wait, oldest first, and do not write them."""
        waiting, self._waiting = self._waiting, []
        return waiting

    async def run(self) -> None:
        """Write what is added, until the task is cancelled."""
        while True:
            await self._wake.wait()
            async with self.lock:
                self._wake.clear()
                if requests := self.take_back():
                    await self._store(requests)

    async def _store(self, requests: list[PendingRequest]) -> None:
        groups = [request.records for request in requests]
        try:
            stored = await asyncio.to_thread(self._spool.append, groups, time.time())
        except OSError as error:
            stored = 0
            log.error("cannot write to the spool", error=error)
        failpoints.reach("gateway.spooled")
        self.is_full = stored < len(requests)
        for request in requests[:stored]:
            metrics.GATEWAY_SPOOLED.inc(len(request.records))
            request.succeed()
        for request in requests[stored:]:
            request.fail(Unavailable())
