"""The wall clock of a process, which ends the process when it steps.

A batch is decided by the time at which it began. If that time is wrong by days, waits end early and emails expire. So a step is noticed
when the clock is read, before a batch can use it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds by which the wall clock may change between two readings, apart from the time that passed. Time services correct smaller
#: differences at any moment.
MAX_STEP_S = 300.0
#: Seconds that one reading may take. A process that is suspended within a reading reads again.
MAX_READING_S = 1.0


def elapsed_s() -> float:
    """Return the seconds since an arbitrary time. This clock cannot be set, and it continues while the machine is suspended.

    Linux has `CLOCK_BOOTTIME` for that, because its `CLOCK_MONOTONIC` stands still meanwhile. That of macOS continues.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """The wall clock. Call it for the time in milliseconds since 1970.

    Args:
        on_step: called with the seconds of a step, positive if the clock went forward. It must not return.
        wall: the wall clock, in seconds since 1970.
        elapsed: a clock that cannot be set, in seconds.
    """

    def __init__(
        self,
        on_step: Callable[[float], None],
        *,
        wall: Callable[[], float] = lambda: time.time(),
        elapsed: Callable[[], float] = elapsed_s,
    ) -> None:
        self._on_step = on_step
        self._wall = wall
        self._elapsed = elapsed
        now, at = self._read()
        self._offset = now - at

    def __call__(self) -> int:
        """Return the time in milliseconds since 1970."""
        now, at = self._read()
        step = now - at - self._offset
        if abs(step) > MAX_STEP_S:
            self._on_step(step)
        # Compared with the last reading, so that many small corrections within months do not add up.
        self._offset += step
        return int(now * 1000)

    def _read(self) -> tuple[float, float]:
        """Return the wall clock, and the elapsed seconds at the same moment."""
        while True:
            before, now, after = self._elapsed(), self._wall(), self._elapsed()
            if after - before <= MAX_READING_S:
                return now, after
