"""Whether the threads of a worker move: each one notes what it is busy with, and since when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Seconds that one step of a thread may take. A read takes 20 ms, and a busy machine may delay it for seconds.
STEP_LIMIT_S = 60.0


class Liveness:
    """The steps that threads are taking.

    Args:
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def begin(self, thread: str) -> None:
        """Note that `thread` is to take a step, unless it is still busy with an earlier one."""
        self._since.setdefault(thread, self._clock())

    def end(self, thread: str) -> None:
        """Note that `thread` has taken its step."""
        self._since.pop(thread, None)

    @contextmanager
    def step(self, thread: str) -> Iterator[None]:
        """Note that `thread` takes a step until the block ends."""
        self.begin(thread)
        try:
            yield
        finally:
            self.end(thread)

    def stalled(self) -> Iterator[tuple[str, float]]:
        """Yield the threads whose step takes longer than `STEP_LIMIT_S`, and the seconds that it has taken."""
        now = self._clock()
        for thread, since in list(self._since.items()):
            if now - since > STEP_LIMIT_S:
                yield thread, now - since
