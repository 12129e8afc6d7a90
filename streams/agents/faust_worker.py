"""Faust's worker, as both kinds of process run it: with a health server."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from streams.agents.newer_state import explain_newer_state
from streams.observability.health import HealthServer
from streams.runtime.app import RestartableWorker


class Stoppable(Protocol):
    """A companion of a worker: a global table, or renderers."""

    async def stop(self) -> None:
        """Stop it."""


class Worker(RestartableWorker):
    """Faust's worker with a health server that answers from the start.

    Faust starts an app's tasks only after the restore. A health server among them would not answer during the restore, and an orchestrator
    would kill the worker.

    Args:
        app: Faust's app.
        health: the health server.
        prepare: what the process does before it joins its group, once the health server answers.
        helpers: what to stop at the end.
    """

    def __init__(
        self,
        app: Any,
        health: HealthServer,
        prepare: Callable[[], Awaitable[None]],
        helpers: Sequence[Stoppable] = (),
    ) -> None:
        # Faust's own log handler would write no JSON, drop lines below WARNING, and show the email addresses that libraries quote.
        super().__init__(app, override_logging=False, quiet=True, redirect_stdouts=False)
        self.spinner = None  # it would write terminal codes into the log
        self._health = health
        self._prepare = prepare
        self._helpers = helpers

    def _crash(self, reason: BaseException) -> None:
        explain_newer_state(reason)
        super()._crash(reason)

    async def on_first_start(self) -> None:
        """Start the health server before anything else, then prepare the process.

        Raises:
            SystemExit: the port is in use, and the message names the setting that changes it; or the process cannot start.
        """
        await super().on_first_start()
        try:
            await self._health.start()
        except OSError as error:
            sys.exit(f"cannot start: {error.strerror}")
        await self._prepare()

    async def on_shutdown(self) -> None:
        """Stop the helpers, and the health server last."""
        for helper in self._helpers:
            await helper.stop()
        await self._health.stop()
        await super().on_shutdown()
