"""Shift this process's wall clock by the number of seconds in the file that `TAKK_CRASH_CLOCK` names.

Python loads this module at startup if its folder is on the path; only the campaign puts it there. The runtime, the timers and the
flows all read the time from `time.time`.
"""

import os
import time

_real_time = time.time
_file = os.environ.get("TAKK_CRASH_CLOCK", "")


def _shifted_time() -> float:
    try:
        with open(_file, encoding="ascii") as file:
            return _real_time() + float(file.read() or 0)
    except OSError:
        return _real_time()


if _file:
    time.time = _shifted_time
