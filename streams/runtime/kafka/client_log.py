"""The log lines of librdkafka's clients, in the log of the process.

A client delivers its lines when it is polled. Clients that are polled rarely therefore log severe errors only, see client_config.py.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

#: Seconds for which a line of one kind is not repeated.
INTERVAL_S = 60.0
#: The most kinds that are remembered. A kind has the text of a line, and errors of connections come in tens.
MAX_KINDS = 1000
#: Facilities of lines about connections. Their texts have durations and counters, by which alone they differ.
CONNECTIONS = frozenset({"FAIL", "ERROR", "REQTMOUT", "REQERR", "OFFLINE"})
#: The thread at the start of a line, and the statistics at its end.
THREAD = re.compile(r"^\[thrd:[^\]]*\]: ")
STATISTICS = re.compile(r" \(after \d+ms.*$")


class ClientLog:
    """A logger for the setting `logger` of a client.

    Args:
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: Kind -> when it was logged last, and how often it has been left out since.
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}

    def log(self, level: int, pattern: str, facility: str, client: str, text: str) -> None:
        """Log a line, unless a line of its kind was logged less than a minute ago. The client calls it.

        Args:
            level: of Python's `logging`.
            pattern: a format of the three texts.
            facility: librdkafka's name for what the line is about, such as FAIL.
            client: the name of the client.
            text: the line.
        """
        text = STATISTICS.sub("", THREAD.sub("", text))
        left_out = self._left_out(facility, text)
        if left_out is None:
            return
        if structlog.is_configured():
            log.log(level, "message of a Kafka client", facility=facility, client=client, detail=text, count=left_out)
        else:  # a command, which writes its output to the terminal
            logging.getLogger(__name__).log(level, pattern, facility, client, text)

    def _left_out(self, facility: str, text: str) -> int | None:
        """Return the number of lines of this kind since the last one; None if this line is to be left out too."""
        kind = facility, text
        if facility in CONNECTIONS:
            broker, _, rest = text.partition(" ")
            kind = facility, f"{broker} {re.sub(r'[0-9]+', '#', rest)}"
        now = self._clock()
        with self._lock:
            at, count = self._kinds.get(kind, (now - INTERVAL_S, 0))
            if now - at < INTERVAL_S:
                self._kinds[kind] = at, count + 1
                return None
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            self._kinds[kind] = now, 0
            return count


#: The log of all clients of this process: they repeat each other's errors.
CLIENT_LOG = ClientLog()
