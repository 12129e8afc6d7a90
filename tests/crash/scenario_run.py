"""One running scenario: its stack, the actions that scenarios share, and the row of results."""

from __future__ import annotations

import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from streams.tools.local.processes import Process, ProcessFailed
from streams.wire import topics
from tests.harness.stack import Stack, wait_until

#: Orders per second: enough that a process reaches every failpoint within a second.
RATE = 30.0
SEED = 3
#: Starts that a process gets when it exits while it starts, for example because the broker answers too late on a loaded machine.
MAX_STARTS = 3


@dataclass
class Row:
    """The result of a scenario.

    `unknown` counts the sends that may have arrived twice or not at all: their data had begun when a process died.
    """

    scenario: str
    acceptance: str
    seed: int
    kills: int = 0
    sends: int = 0
    lost: int = 0
    duplicated: int = 0
    unknown: int = 0
    longest_gap_s: float = 0.0
    seconds: float = 0.0
    unknown_sends: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, duplicated or different."""
        return not (self.lost or self.duplicated or self.problems)

    def as_dict(self) -> dict[str, Any]:
        """Return the row as it is written to results.json."""
        return {**asdict(self), "passed": self.passed}


class ScenarioRun:
    """A stack and the actions that scenarios apply to it. All randomness comes from `rng`, which is seeded.

    Args:
        stack: started.
        row: receives the results.
        seconds: length of the scenario with random kills.
    """

    def __init__(self, stack: Stack, row: Row, seconds: float) -> None:
        self.stack = stack
        self.row = row
        self.seconds = seconds
        self.rng = random.Random(row.seed)
        self._closed = threading.Event()

    def log(self, text: str) -> None:
        """Print a progress line to stderr."""
        print(f"[{time.strftime('%H:%M:%S')}] {self.row.scenario}: {text}", file=sys.stderr, flush=True)

    @contextmanager
    def shop_open(self, poison: float = 0.0, rate: float = RATE) -> Iterator[None]:
        """Let the shop place orders until the end of the block.

        Args:
            poison: share of records that are followed by an invalid one.
            rate: orders per second.
        """
        opened_ms = int(time.time() * 1000)
        shop = self.stack.run_shop(3600.0, rate, poison, self.row.seed, until=self._closed)
        try:
            yield
        finally:
            self._closed.set()
            shop.join()
            self._closed.clear()
            self._note_longest_gap(opened_ms, int(time.time() * 1000))

    def close_shop(self) -> None:
        """Stop the orders before the end of the `shop_open` block, so that the stack can become idle within it."""
        self._closed.set()

    @contextmanager
    def supervise(self) -> Iterator[None]:
        """Restart every process that exits within the block, as a supervisor does in production."""
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(0.2):
                self.restart_exited()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def restart_exited(self) -> None:
        """Restart the processes that have exited on their own."""
        for process in self.stack.processes:
            if process.exit_code is not None:
                self.log(f"a {process.role} exited with {process.exit_code}, restarting it")
                process.start()

    def wait_until(self, condition: Callable[[], bool], description: str, timeout_s: float = 90.0) -> None:
        """Wait until `condition` is true.

        Raises:
            AssertionError: it is still false after `timeout_s` seconds.
        """
        wait_until(condition, f"{self.row.scenario}: {description}", timeout_s)

    def await_emails(self, count: int, *, is_supervised: bool = False) -> None:
        """Wait until `count` more emails have arrived. With `is_supervised`, restart processes that exit meanwhile."""
        expected = self.stack.inbox.accepted + count

        def have_arrived() -> bool:
            if is_supervised:
                self.restart_exited()
            return self.stack.inbox.accepted >= expected

        self.wait_until(have_arrived, f"{count} more emails")

    def kill(self, process: Process) -> None:
        """Kill the process (SIGKILL)."""
        process.kill()
        self.row.kills += 1

    def restart(self, process: Process, *, is_wiped: bool = False) -> None:
        """Start a dead process, with or without its state, and wait until it is ready.

        Raises:
            ProcessFailed: it exited while starting, `MAX_STARTS` times in a row, or did not become ready.
        """
        if is_wiped:
            self.wipe_state(process)
        for attempt in range(MAX_STARTS):
            process.start()
            try:
                process.await_ready()
            except ProcessFailed:
                if process.exit_code is None or attempt == MAX_STARTS - 1:
                    raise
                self.log(f"a {process.role} exited with {process.exit_code} while starting, restarting it")
            else:
                return

    def wipe_state(self, process: Process) -> None:
        """Delete the local state of a dead process."""
        roles = (self.stack.workers, self.stack.mailers)
        number = next(processes.index(process) for processes in roles if process in processes)
        for folder in self.stack.state_dir(number).glob("flows*" if process.role == "worker" else "mailer*"):
            shutil.rmtree(folder)

    def _note_longest_gap(self, opened_ms: int, closed_ms: int) -> None:
        """Record the longest time between two emails while orders arrived: for that long, no email was sent."""
        arrived_ms = sorted(
            mail.received_at_ms for mail in self.stack.inbox.mails() if opened_ms < mail.received_at_ms < closed_ms
        )
        gaps_ms = [later - earlier for earlier, later in pairwise(arrived_ms)]
        self.row.longest_gap_s = max(self.row.longest_gap_s, round(max(gaps_ms, default=0) / 1000, 1))

    def judge(self, comparable: Callable[[str, bytes], bytes] = lambda topic, value: value) -> None:
        """Wait until the stack is idle, stop it, compare its records, state and inbox with the recomputation, and fill the row."""
        self.log("waiting until the stack is idle")
        self.stack.wait_until_idle(timeout_s=180)
        verdict = self.stack.judge(comparable)
        events = self.stack.records(topics.EVENTS)
        unknown = {
            event["send_id"] for event in events if event["reason"] == "sent_again" or event["outcome"] == "unknown"
        }
        self.row.sends = len(verdict.sends)
        self.row.lost = len(verdict.lost)
        self.row.duplicated = len([send for send in verdict.duplicates if send not in unknown])
        self.row.unknown = len(unknown)
        self.row.unknown_sends = sorted(unknown)
        self.row.problems += verdict.problems
        if not verdict.sends:
            self.row.problems.append("nothing was sent, so the scenario tested nothing")
