"""Shifts this process's wall clock by the seconds in the file `TAKK_CRASH_CLOCK`; Python loads it at start when it is on the path.

Only the campaign puts it there. `time.time` is what the runtime, the timers and the flows take their time from.
"""

import os
import time

_real = time.time
_file = os.environ.get("TAKK_CRASH_CLOCK", "")


def _shifted() -> float:
    try:
        with open(_file, encoding="ascii") as file:
            return _real() + float(file.read() or 0)
    except OSError:
        return _real()


if _file:
    time.time = _shifted
