"""Failpoints: named places at which the crash campaign kills the process. Without `TAKK_FAILPOINT` they do nothing and cost nothing.

`TAKK_FAILPOINT=flows.committed@3` kills the process with SIGKILL when it reaches the failpoint `flows.committed` for the third time. The
failpoints are the calls of `reach`; `tests/crash` lists their names.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

VARIABLE = "TAKK_FAILPOINT"


def armed(environment: Mapping[str, str]) -> Callable[[str], None]:
    """Return the function `reach` for `environment`: it does nothing, or kills this process at one failpoint.

    Raises:
        ValueError: the variable is not a valid `name@count`.
    """
    text = environment.get(VARIABLE)
    if not text:
        return lambda name: None
    wanted, _, count = text.partition("@")
    left = int(count or "1")

    def reach(name: str) -> None:
        nonlocal left
        if name == wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reach


#: Mark a failpoint as reached.
reach = armed(os.environ)
