"""The end of a demo: once every order has a result, the worker stops, and the mailer sends what is decided.

Flows write for months after an order, which are minutes in a demo, so nobody waits for their last email. Every decision up to the stop is
in the journal, so all of them are compared with the inbox.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Protocol

from streams.tools.local.processes import Process
from streams.tools.local.progress import ProgressReader

#: Seconds to wait until every order has a result, until the worker has read what was written, and until the mailer has sent everything.
ORDERS_TIMEOUT_S, READ_TIMEOUT_S, MAILER_TIMEOUT_S = 60.0, 30.0, 60.0
#: Seconds between two looks at the lag: as often as a process measures it.
LAG_EVERY_S = 1.0
#: The stages of the worker that are never idle while timers fire and emails leave. All others end after the shop.
_ENDLESS = ("flows", "scheduler", "suppressions")


class Stoppable(Protocol):
    """The recipients of a demo."""

    def stop(self) -> None:
        """Finish what has begun, and stop."""


@dataclass
class Closing:
    """How a demo ended.

    Attributes:
        stopped_ms: when the worker was stopped, in ms since 1970.
        late: what did not end in time.
    """

    stopped_ms: int
    late: list[str]


def close(
    reader: ProgressReader,
    order_ids: Set[str],
    readers: Stoppable,
    worker: Process,
    mailer: Process,
    say: Callable[[str], None] = lambda text: None,
) -> Closing:
    """Wait for the orders, stop the recipients and the worker, and wait for the mailer.

    Args:
        reader: reads what the worker has done.
        order_ids: the ids of the orders that the shop placed.
        readers: the recipients. Actions that are not due yet are dropped.
        worker: is stopped.
        mailer: sends all commands. It keeps running.
        say: called with what happens.
    """
    late = []
    say("The shop is closed. Waiting until every order has its confirmation, or a decision against it ...")
    if not reader.wait(lambda progress: order_ids <= progress.settled, ORDERS_TIMEOUT_S):
        late.append("orders")
    readers.stop()
    if not without_lag(lambda: sum(_lags(worker)), READ_TIMEOUT_S):
        late.append("worker")
    if not reader.wait(lambda progress: not progress.unread, READ_TIMEOUT_S):
        late.append("records")
    say("Stopping the worker. The mailer sends the emails that are decided ...")
    worker.stop()
    stopped_ms = int(time.time() * 1000)
    if not without_lag(lambda: mailer.metrics().get("takk_lag_records", 1.0), MAILER_TIMEOUT_S):
        late.append("mailer")
    return Closing(stopped_ms, late)


def _lags(worker: Process) -> list[float]:
    series = worker.series()
    if not series:
        return [1.0]  # it does not answer
    endless = tuple(f'stage="{stage}"' for stage in _ENDLESS)
    return [
        value
        for name, value in series.items()
        if name.startswith("takk_lag_records{") and not any(stage in name for stage in endless)
    ]


def without_lag(lag: Callable[[], float], timeout_s: float) -> bool:
    """Wait until there is no lag twice in a row, and return whether that was within `timeout_s` seconds.

    Args:
        lag: returns the records that are not processed.
        timeout_s: seconds to wait at most.
    """
    deadline, quiet = time.monotonic() + timeout_s, 0
    while time.monotonic() < deadline:
        time.sleep(LAG_EVERY_S)
        quiet = quiet + 1 if lag() == 0 else 0
        if quiet == 2:
            return True
    return False
