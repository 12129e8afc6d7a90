"""How many emails may be in doubt at once, and until when an email may begin. Independent of Kafka.

An email is in doubt from the record that it is about to be sent until the record of its outcome. If the process and its disk are lost in that
time, nobody knows whether it left. The window bounds their number to the emails that the mail server takes in a tenth of a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds of sending that may be in doubt.
WINDOW_S = 0.1
#: Emails in doubt per connection, at least: one on the wire, and one ready to follow it.
PER_CONNECTION = 2
#: Weight of a new measurement. The rate follows a change of the server within some thirty emails.
_WEIGHT = 0.1


def clock() -> float:
    """Return seconds of a clock that never steps. It runs while the process is stopped and, on Linux, while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Window:
    """The emails in doubt of all partitions of a process.

    Args:
        connections: the number of emails that are sent at once.

    Attributes:
        in_doubt: the number of emails in doubt.
    """

    def __init__(self, connections: int) -> None:
        self.in_doubt = 0
        self._connections = connections
        #: Mean seconds that the server takes for an email; 0.0 before the first.
        self._seconds = 0.0
        self._waiting: dict[Callable[[], None], None] = {}

    @property
    def limit(self) -> int:
        """The largest number of emails in doubt."""
        least = PER_CONNECTION * self._connections
        return max(least, round(WINDOW_S * self._connections / self._seconds)) if self._seconds else least

    @property
    def sharers(self) -> int:
        """The number of batches that are sent at once: those that listen, or 1."""
        return len(self._waiting) or 1

    def room_after(self, own: int, done: int) -> int:
        """Return how many emails more a batch may have in doubt when it records outcomes before them.

        The batches share the window equally. Otherwise the first one would keep it until its last email.

        Args:
            own: the emails in doubt of the batch.
            done: how many of them the outcomes are about.
        """
        limit = self.limit
        share = -(-limit // self.sharers)
        return max(0, min(limit - self.in_doubt, share - own) + done)

    def measure(self, seconds: float) -> None:
        """Note how long an email took from its start to the server's answer."""
        self._seconds += (seconds - self._seconds) * (_WEIGHT if self._seconds else 1.0)

    def take(self, count: int) -> None:
        """Note that `count` emails more are in doubt."""
        self.in_doubt += count

    def give_back(self, count: int) -> None:
        """Note that `count` emails are no longer in doubt."""
        self.in_doubt -= count
        if count:
            for on_room in list(self._waiting):
                on_room()

    def add_listener(self, on_room: Callable[[], None]) -> None:
        """Call `on_room` whenever there may be more room."""
        self._waiting[on_room] = None

    def remove_listener(self, on_room: Callable[[], None]) -> None:
        """No longer call `on_room`."""
        self._waiting.pop(on_room, None)


class Lease:
    """The time until which emails of a partition may begin.

    A process that slept may have lost the partition meanwhile, and the next owner may have sent its emails. An email therefore begins only
    within half a session after the broker last acknowledged something of this owner: nobody else can own the partition within a session.

    Args:
        seconds: half of the session timeout.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = float("-inf")

    def renew(self, since: float) -> None:
        """Extend the lease: at `since`, in seconds of `clock`, a request was sent that the broker then acknowledged."""
        self._until = max(self._until, since + self._seconds)

    @property
    def is_valid(self) -> bool:
        """Whether an email may begin now."""
        return clock() <= self._until


class LeaseExpired(Exception):
    """Raised right before an email would begin, because the lease has expired. Nothing has left."""
