"""One running scenario: its stack, the actions that scenarios share, and the row of results."""

from __future__ import annotations

import random
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from confluent_kafka import KafkaException

from streams.core.sending.address_limits import SUPPRESSED
from streams.runtime.app import EXIT_FATAL
from streams.runtime.avro.codec import Codec
from streams.tools.local.kafka.committed import read_all
from streams.tools.local.oracle import Handler
from streams.tools.local.processes import Process, ProcessFailed
from streams.wire import topics
from tests.crash.results import Row
from tests.crash.shop_actions import ShopActions
from tests.crash.stops import MAILER, WORKER, Fault, longest_stops
from tests.harness.scripted_inbox import ScriptedInbox
from tests.harness.stack import GROUPS, Stack, wait_until

#: Orders per second: enough that a process reaches every failpoint within a second.
RATE = 30.0
SEED = 3
#: Starts that a process gets when it exits while it starts, for example because the broker answers too late on a loaded machine.
MAX_STARTS = 3
#: Seconds that a partition whose process is not hit may stand still, on a busy machine: a session, and the takeover of a neighbour.
OTHERS_LIMIT_S = 45.0


class ScenarioRun:
    """A stack and the actions that scenarios apply to it. All randomness comes from `rng`, which is seeded.

    Args:
        stack: started.
        row: receives the results.
        seconds: length of the scenario with random kills.
        in_doubt_per_kill: emails that may be in doubt after each kill; None: any number.
        has_actions: the shop also writes refusals, consents, imports, tests and requests (`ShopActions`).
    """

    def __init__(
        self, stack: Stack, row: Row, seconds: float, in_doubt_per_kill: int | None = None, *, has_actions: bool = False
    ) -> None:
        self.stack = stack
        self.row = row
        self.seconds = seconds
        self._in_doubt_per_kill = in_doubt_per_kill
        self._has_actions = has_actions
        self.rng = random.Random(row.seed)
        self._closed = threading.Event()
        self._faults: list[Fault] = []
        self._windows: list[tuple[int, int]] = []
        #: role -> the newest known partitions of each process, by its number.
        self._assigned: dict[str, dict[int, frozenset[int]]] = {WORKER: {}, MAILER: {}}

    @property
    def inbox(self) -> ScriptedInbox:
        """The inbox, with the answers that a scenario sets."""
        assert isinstance(self.stack.inbox, ScriptedInbox)
        return self.stack.inbox

    def log(self, text: str) -> None:
        """Print a progress line to stderr."""
        print(f"[{time.strftime('%H:%M:%S')}] {self.row.scenario}: {text}", file=sys.stderr, flush=True)

    @contextmanager
    def shop_open(
        self, poison: float = 0.0, rate: float = RATE, codec: Codec | None = None, *, has_receipts: bool = False
    ) -> Iterator[None]:
        """Let the shop place orders until the end of the block.

        Args:
            poison: share of records that are followed by an invalid one.
            rate: orders per second.
            codec: encodes the records; None: that of the present schemas.
            has_receipts: whether orders have all that a receipt shows.
        """
        opened_ms = int(time.time() * 1000)
        # Another shop each time: the orders of the same one would have the same ids.
        seed = self.row.seed + 1000 * len(self._windows)
        more = ShopActions(seed, self.stack.day_s).after if self._has_actions else None
        shop = self.stack.run_shop(
            3600.0, rate, poison, seed, until=self._closed, codec=codec, more=more, has_receipts=has_receipts
        )
        try:
            yield
        finally:
            self._closed.set()
            shop.join()
            self._closed.clear()
            self._windows.append((opened_ms, int(time.time() * 1000)))

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

    def wait_until(
        self, condition: Callable[[], bool], description: str, timeout_s: float = 90.0, *, is_supervised: bool = False
    ) -> None:
        """Wait until `condition` is true. With `is_supervised`, restart processes that exit meanwhile.

        Raises:
            AssertionError: it is still false after `timeout_s` seconds.
        """

        def is_met() -> bool:
            if is_supervised:
                self.restart_exited()
            return condition()

        wait_until(is_met, f"{self.row.scenario}: {description}", timeout_s)

    def await_emails(self, count: int, *, is_supervised: bool = False) -> None:
        """Wait until `count` more emails have arrived. With `is_supervised`, restart processes that exit meanwhile."""
        expected = self.stack.inbox.accepted + count
        self.wait_until(
            lambda: self.stack.inbox.accepted >= expected, f"{count} more emails", is_supervised=is_supervised
        )

    def note_fault(self, *victims: Process, others: Sequence[str] = ()) -> None:
        """Note that something fails now, for the longest stops.

        Args:
            victims: the processes that fail. The partitions of the other processes of their roles are those of the others.
            others: the roles whose processes are all others, for a fault outside the processes.
        """
        owned: dict[str, frozenset[int]] = dict.fromkeys(others, frozenset())
        for process in victims:
            role = process.role
            with suppress(KafkaException):
                self._assigned[role] |= self.stack.assignment(role)
            partitions = self._assigned[role].get(self.stack.number_of(process), frozenset())
            owned[role] = owned.get(role, frozenset()) | partitions
        self._faults.append(Fault(int(time.time() * 1000), owned))

    def kill(self, process: Process) -> None:
        """Kill the process (SIGKILL)."""
        self.note_fault(process)
        process.kill()
        self.row.kills += 1

    def restart(self, process: Process, *options: str, is_wiped: bool = False, **env: str) -> None:
        """Start a dead process, with or without its state, and wait until it is ready.

        Args:
            process: the process.
            options: of its command line.
            is_wiped: whether its state is deleted before.
            env: additional settings for this start.

        Raises:
            ProcessFailed: it exited while starting, `MAX_STARTS` times in a row, or did not become ready.
        """
        if is_wiped:
            self.wipe_state(process)
        for attempt in range(MAX_STARTS):
            process.start(*options, **env)
            try:
                process.await_ready()
            except ProcessFailed:
                if process.exit_code is None or attempt == MAX_STARTS - 1:
                    raise
                self.log(f"a {process.role} exited with {process.exit_code} while starting, restarting it")
            else:
                return

    def stop_all(self, role: str) -> None:
        """Stop all processes of a role, and wait until the broker has removed them from their group."""
        processes = [process for process in self.stack.processes if process.role == role]
        self.note_fault(*processes)
        with ThreadPoolExecutor() as pool:
            codes = list(pool.map(Process.stop, processes))
        assert not any(codes), f"exit codes {codes}"
        self.wait_until(lambda: not self.stack.members(role), "the group is empty")

    def refused(self, process: Process, words: str, *options: str) -> None:
        """Start a process, and check that it does not start, with the reason in its log."""
        process.start(*options)
        self.wait_until(lambda: process.exit_code is not None, "the process refused to start")
        log = process.log_file.read_text(errors="replace")
        assert process.exit_code not in (0, EXIT_FATAL), f"exit code {process.exit_code}"
        assert words in log, log[-2000:]

    def dead_letters(self) -> Counter[str]:
        """Return the number of dead letters by reason."""
        return Counter(letter["reason"] for letter in self.stack.records(topics.DEAD_LETTERS))

    def wipe_state(self, process: Process) -> None:
        """Delete the local state of a dead process."""
        for folder in self.state_of(process):
            shutil.rmtree(folder)

    def state_of(self, process: Process) -> list[Path]:
        """Return the directories of the local state of a process."""
        folder = self.stack.state_dir(self.stack.number_of(process))
        return sorted(folder.glob(f"{GROUPS[process.role]}*"))

    def _measure_stops(self) -> None:
        """Fill in the longest stops: of the batches of flows, and of the emails that arrived or have another outcome.

        A day takes a second, so the emails of a mailer that was away for ten seconds may all have expired.
        """
        codec, partitions = self.stack.codec, range(self.stack.settings.partitions)
        outputs: dict[tuple[str, int], list[int]] = {(role, n): [] for role in (WORKER, MAILER) for n in partitions}
        records = read_all(self.stack.settings.kafka(), [topics.CHECKPOINTS, topics.COMMANDS, topics.EVENTS])
        for entry in records[topics.CHECKPOINTS]:
            outputs[WORKER, codec.decode("checkpoint", entry.value())["partition"]].append(entry.timestamp()[1])
        of_send = {codec.decode("email_command", r.value())["send_id"]: r.partition() for r in records[topics.COMMANDS]}
        for mail in self.stack.inbox.mails():
            if mail.send_id in of_send:
                outputs[MAILER, of_send[mail.send_id]].append(mail.received_at_ms)
        for event in records[topics.EVENTS]:
            outputs[MAILER, event.partition()].append(event.timestamp()[1])
        stops = longest_stops(self._faults, outputs, self._windows)
        self.row.victim_stop_s, self.row.others_stop_s = stops.victim_s, stops.others_s

    def judge(self, earlier: Handler | None = None) -> None:
        """Wait until the stack is idle, stop it, compare its records, state and inbox with the recomputation, and fill the row.

        Args:
            earlier: decides again what an earlier program decided.
        """
        self.log("waiting until the stack is idle")
        # Reminders come for weeks after the last order, and each day takes `day_s` seconds.
        self.stack.wait_until_idle(timeout_s=120 + 60 * self.stack.day_s)
        verdict = self.stack.judge(earlier)
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
        self.log(f"emails that were not sent, by rule: {dict(verdict.skipped)}")
        if self._has_actions and not verdict.skipped[SUPPRESSED]:
            self.row.problems.append("no email met a suppressed address, so the scenario tested none")
        self._measure_stops()
        if (others_s := self.row.others_stop_s or 0.0) > OTHERS_LIMIT_S:
            self.row.problems.append(f"others stood still for {others_s} s")
        if self._in_doubt_per_kill is not None and len(unknown) > (allowed := self._in_doubt_per_kill * self.row.kills):
            self.row.problems.append(f"{len(unknown)} emails are in doubt, at most {allowed} may be")
        if not verdict.sends:
            self.row.problems.append("nothing was sent, so the scenario tested nothing")
