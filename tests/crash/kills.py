"""Scenarios that kill processes: at each failpoint, at each step of the SMTP conversation, and at random."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable

from streams.runtime.failpoints import VARIABLE
from streams.tools.local.processes import Process
from tests.crash.scenario_run import ScenarioRun

#: A failpoint strikes at one of its first times, so that it lies now early, now late in a stream of batches.
STRIKES = 6
KILL_TIMEOUT_S = 60.0

WORKER_FAILPOINTS = (
    "flows.produced", "flows.offsets", "flows.committed", "flows.stored",
    "scheduler.produced", "scheduler.offsets", "scheduler.committed", "scheduler.stored",
    "timers.fired", "scheduler.marker_produced", "scheduler.marker_committed", "scheduler.marker_stored",
    "lanes.fenced", "restore.applied", "lanes.restored",
)  # fmt: skip
MAILER_FAILPOINTS = (
    "mailer.planned", "mailer.marker_produced", "mailer.marker_committed", "mailer.marker_stored", "mailer.marked",
    "mailer.reported", "mailer.produced", "mailer.offsets", "mailer.committed", "mailer.stored",
)  # fmt: skip
#: Places that a life may not come to a second time.
REACHED_ONCE = frozenset({"lanes.fenced", "lanes.restored", "mailer.reported"})
#: How far the mail server has come with a mail when its client dies.
SMTP_PHASES = ("mail", "data", "dot", "kept")


def kill_at_failpoints(run: ScenarioRun, *, process: Process, places: Iterable[str], is_wiped: bool) -> None:
    """Arm one place after the other; each life of the process ends at its place."""
    with run.shop_open():
        for place in places:
            if place == "restore.applied" and not is_wiped:
                continue  # with the disk kept there is nothing to restore
            process.kill()
            if is_wiped:
                run.wipe_disk(process)
            strike = run.rng.randint(1, 1 if place in REACHED_ONCE else STRIKES)
            process.start(**{VARIABLE: f"{place}@{strike}"})
            run.until(lambda: process.exit_code is not None, f"{place} reached", KILL_TIMEOUT_S)
            assert process.exit_code == -signal.SIGKILL, (
                f"{place}: ended with {process.exit_code}, see {process.log_file}"
            )
            run.row.kills += 1
            run.log(f"killed at {place}")
        run.restart(process, is_wiped=is_wiped)
        run.await_emails(30)


def kill_worker(run: ScenarioRun, *, is_wiped: bool) -> None:
    """The flows worker, at every edge of the checkpoint, the scheduler and the takeover."""
    kill_at_failpoints(run, process=run.stack.worker, places=WORKER_FAILPOINTS, is_wiped=is_wiped)


def kill_mailer(run: ScenarioRun, *, is_wiped: bool) -> None:
    """The mailer, at every edge of the ledger, and at every step of the conversation with the mail server."""
    mailer, inbox = run.stack.mailer, run.stack.inbox
    with run.shop_open():
        for phase in SMTP_PHASES:
            left = run.rng.randint(1, 20)

            def strike(reached: str, phase: str = phase) -> None:
                nonlocal left
                left -= reached == phase
                if not left:
                    mailer.signal(signal.SIGKILL)

            inbox.watch = strike
            run.until(lambda: mailer.exit_code is not None, f"the mail server saw {phase}", KILL_TIMEOUT_S)
            inbox.watch = None
            run.row.kills += 1
            run.log(f"killed at SMTP {phase}")
            run.restart(mailer, is_wiped=is_wiped)
    kill_at_failpoints(run, process=mailer, places=MAILER_FAILPOINTS, is_wiped=is_wiped)


def random_kills(run: ScenarioRun) -> None:
    """kill -9 of any process, several times a minute."""
    with run.shop_open():
        deadline = time.monotonic() + run.seconds
        while time.monotonic() < deadline:
            process = run.rng.choice(run.stack.processes)
            # On a loaded machine a worker can miss its session, be fenced and end: that is one more death, not the end of the scenario.
            run.await_emails(run.rng.randint(20, 120), is_supervised=True)
            run.kill(process)
            run.restart(process, is_wiped=run.rng.random() < 0.25)
