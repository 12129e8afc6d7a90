"""Shared by the runners: the time of the work and the RESULT line, `RESULT <name> <records> <seconds> <records per second>`.

Imports nothing but the standard library, because the peers run it in their own environments.
"""

from __future__ import annotations

import os
import time


def print_result(name: str, records: int, seconds: float) -> None:
    """Print the RESULT line of `records` records in `seconds` seconds."""
    print(f"RESULT {name} {records} {seconds:.2f} {records / seconds:.0f}", flush=True)


class Measurement:
    """Measures the time from the first record until `records` records are done; then prints the result and ends the process.

    The process ends without cleanup: shutting down is not part of the measurement, and some peers never return from it.

    Args:
        name: of the runner.
        records: to process.
    """

    def __init__(self, name: str, records: int) -> None:
        self._name = name
        self._records = records
        self._started = 0.0
        self._done = 0

    @property
    def is_complete(self) -> bool:
        """Whether all records are done."""
        return self._done >= self._records

    def start(self) -> None:
        """Start the clock, at the first call."""
        self._started = self._started or time.time()

    def count(self, records: int = 1) -> None:
        """Count records that are done."""
        self._done += records

    def finish(self) -> None:
        """Print the result and end the process."""
        print_result(self._name, self._done, time.time() - self._started)
        os._exit(0)

    def count_and_finish(self, records: int = 1) -> None:
        """Count records that are done, and finish with the last."""
        self.count(records)
        if self.is_complete:
            self.finish()
