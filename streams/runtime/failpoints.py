"""Named places at which the crash campaign kills the process. Without `TAKK_FAILPOINT` they do nothing and cost nothing.

`TAKK_FAILPOINT=flows.committed@3` kills the process, as kill -9 does, when the place `flows.committed` is reached for the third time. The
places are those named by calls of `reach`; `tests/crash` lists them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

VARIABLE = "TAKK_FAILPOINT"


def armed(environment: Mapping[str, str]) -> Callable[[str], None]:
    """What `reach` does under `environment`: nothing, or kill this process at a place.

    Raises:
        ValueError: the variable is set and is no `place@count`.
    """
    text = environment.get(VARIABLE)
    if not text:
        return lambda place: None
    wanted, _, count = text.partition("@")
    left = int(count or "1")

    def reach(place: str) -> None:
        nonlocal left
        if place == wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reach


#: Say that `place` is reached.
reach = armed(os.environ)
