"""An event loop whose clock jumps to the next timer instead of waiting: minutes pass at once, and nothing depends on the machine."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


#: Seconds of virtual time after which a coroutine counts as stuck, and the rounds of the loop.
LIMIT_S, LIMIT_ROUNDS = 86_400.0, 20_000


class Stuck(Exception):
    """A coroutine waits without end: nothing can happen any more, only timers do, or the clock stands still."""


class _Selector(selectors.SelectSelector):
    """Does not wait for sockets; adds the time that it should have waited to `now`."""

    now = 0.0
    rounds = 0
    limit_rounds = LIMIT_ROUNDS

    def select(self, timeout: float | None = None) -> Any:
        """Return the sockets that are ready now."""
        ready = super().select(0)
        self.rounds += 1
        if self.now > LIMIT_S or self.rounds > self.limit_rounds:
            raise Stuck(f"after {self.now} s and {self.rounds} rounds")
        if not ready:
            if timeout is None:
                raise Stuck
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop. It cannot use real connections."""

    def __init__(self, limit_rounds: int = LIMIT_ROUNDS) -> None:
        self._virtual = _Selector()
        self._virtual.limit_rounds = limit_rounds
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the seconds since the loop was created."""
        return self._virtual.now


def run(work: Coroutine[Any, Any, T], limit_rounds: int = LIMIT_ROUNDS) -> T:
    """Run `work` in virtual time.

    Args:
        work: the coroutine.
        limit_rounds: the rounds of the loop after which it counts as stuck. Code that polls needs many.

    Raises:
        Stuck: it waits for something that cannot happen.
    """
    with asyncio.Runner(loop_factory=partial(VirtualTimeLoop, limit_rounds)) as runner:
        return runner.run(work)
