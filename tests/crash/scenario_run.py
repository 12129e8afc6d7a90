"""One scenario of the campaign while it runs: the stack, what was done to it, and how long it stood still."""

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

#: Orders a second while things are killed: enough that every edge is reached within a second.
RATE = 30.0
SEED = 3
#: Starts of a process that ends while it starts, for example because the broker does not answer in time on a loaded machine.
STARTS = 3


@dataclass
class Row:
    """What came of a scenario. `unknown` counts the sends whose data had begun when something died: they may have come twice, or not."""

    scenario: str
    acceptance: str
    seed: int
    runs: int = 1
    kills: int = 0
    sends: int = 0
    lost: int = 0
    duplicated: int = 0
    unknown: int = 0
    longest_stop_s: float = 0.0
    seconds: float = 0.0
    unknown_sends: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether the scenario is accepted."""
        return not (self.lost or self.duplicated or self.problems)

    def as_dict(self) -> dict[str, Any]:
        """For results.json."""
        return {**asdict(self), "good": self.is_good}


class ScenarioRun:
    """A stack under fire. `chance` is seeded; whatever is random comes from it."""

    def __init__(self, stack: Stack, row: Row, seconds: float) -> None:
        self.stack = stack
        self.row = row
        self.seconds = seconds
        self.rng = random.Random(row.seed)
        self._closed = threading.Event()

    def log(self, text: str) -> None:
        """A progress line."""
        print(f"[{time.strftime('%H:%M:%S')}] {self.row.scenario}: {text}", file=sys.stderr, flush=True)

    @contextmanager
    def shop_open(self, poison: float = 0.0, rate: float = RATE) -> Iterator[None]:
        """The shop is open for as long as the block takes."""
        opened_ms = int(time.time() * 1000)
        shop = self.stack.run_shop(3600.0, rate, poison, self.row.seed, until=self._closed)
        try:
            yield
        finally:
            self._closed.set()
            shop.join()
            self._closed.clear()
            self._note_stops(opened_ms, int(time.time() * 1000))

    def close_shop(self) -> None:
        """End the trading before its block ends, so that everything can come to rest within it."""
        self._closed.set()

    @contextmanager
    def supervise(self) -> Iterator[None]:
        """Whatever process ends within the block is started again, as production's supervisor does."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.2):
                self.restart_ended()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def restart_ended(self) -> None:
        """Start again whatever has ended by itself."""
        for process in self.stack.processes:
            if process.exit_code is not None:
                self.log(f"a {process.role} ended with {process.exit_code}; it is started again")
                process.start()

    def until(self, condition: Callable[[], bool], description: str, timeout_s: float = 90.0) -> None:
        """Wait until `holds`."""
        wait_until(condition, f"{self.row.scenario}: {description}", timeout_s)

    def await_emails(self, count: int, *, is_supervised: bool = False) -> None:
        """Wait until `count` more mails have arrived; supervised, a process that ends by itself meanwhile is started again."""
        wanted = self.stack.inbox.accepted + count

        def are_there() -> bool:
            if is_supervised:
                self.restart_ended()
            return self.stack.inbox.accepted >= wanted

        self.until(are_there, f"{count} more mails")

    def kill(self, process: Process) -> None:
        """kill -9."""
        process.kill()
        self.row.kills += 1

    def restart(self, process: Process, *, is_wiped: bool = False, **env: str) -> None:
        """Start a dead process again, with its disk or without, and wait until it is ready; one that ends meanwhile gets `STARTS` starts in
        all, as from a supervisor."""
        if is_wiped:
            self.wipe_disk(process)
        for start in range(STARTS):
            process.start(**env)
            try:
                process.await_ready()
            except ProcessFailed:
                if process.exit_code is None or start == STARTS - 1:
                    raise
                self.log(f"a {process.role} ended with {process.exit_code} while starting; it is started again")
            else:
                return

    def wipe_disk(self, process: Process) -> None:
        """Take the disk of a dead process away."""
        lists = (self.stack.workers, self.stack.mailers)
        number = next(of.index(process) for of in lists if process in of)
        for folder in self.stack.state_dir(number).glob("flows*" if process.role == "worker" else "mailer*"):
            shutil.rmtree(folder)

    def _note_stops(self, opened_ms: int, closed_ms: int) -> None:
        """Note the longest time between two mails while the shop traded: orders came all the while, so that is how long nothing worked."""
        arrived = [
            mail.received_at_ms for mail in self.stack.inbox.mails() if opened_ms < mail.received_at_ms < closed_ms
        ]
        stops = [later - earlier for earlier, later in pairwise(sorted(arrived))]
        self.row.longest_stop_s = max(self.row.longest_stop_s, round(max(stops, default=0) / 1000, 1))

    def judge(self, comparable: Callable[[str, bytes], bytes] = lambda topic, value: value) -> None:
        """Let everything come to rest, stop it, and compare all there is with the recomputation."""
        self.log("at rest?")
        self.stack.wait_until_idle(timeout_s=180)
        verdict = self.stack.judge(comparable)
        events = self.stack.records(topics.EVENTS)
        again = {one["send_id"] for one in events if one["reason"] == "sent_again" or one["outcome"] == "unknown"}
        self.row.sends = len(verdict.sends)
        self.row.lost = len(verdict.lost)
        self.row.duplicated = len([send for send in verdict.duplicates if send not in again])
        self.row.unknown = len(again)
        self.row.unknown_sends = sorted(again)
        self.row.problems += verdict.problems
        if not verdict.sends:
            self.row.problems.append("nothing was sent: the scenario tried nothing")
