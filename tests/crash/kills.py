"""Scenarios that kill processes: at every failpoint, in every phase of the SMTP conversation, and at random."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

from streams.runtime.failpoints import VARIABLE
from streams.tools.local.processes import Process
from tests.crash.scenario_run import ScenarioRun

WORKER_FAILPOINTS = (
    "flows.produced", "flows.offsets", "flows.committed", "flows.stored",
    "scheduler.produced", "scheduler.offsets", "scheduler.committed", "scheduler.stored",
    "timers.fired", "scheduler.marker_produced", "scheduler.marker_committed", "scheduler.marker_stored",
    "tasks.fenced", "restore.applied", "tasks.restored",
)  # fmt: skip
MAILER_FAILPOINTS = (
    "mailer.planned", "mailer.changes_produced", "mailer.changes_acknowledged", "mailer.marked",
    "mailer.reported", "mailer.produced", "mailer.offsets", "mailer.committed", "mailer.stored",
)  # fmt: skip
#: Failpoints that a process may reach only once.
REACHED_ONCE = frozenset({"tasks.fenced", "tasks.restored", "mailer.reported"})
#: Other failpoints kill at a random one of their first hits, so that they strike early or late in a series of batches.
MAX_HITS = 6
#: Phases of an email in the mail server, in which the mailer is killed.
SMTP_PHASES = ("mail", "data", "dot", "kept")
#: Share of the random kills that also delete the state of the process.
WIPED_SHARE = 0.25
#: The renderers of the mailer whose renderers are killed, and how often all of them are.
RENDERERS, RENDERER_KILLS = 2, 8
#: Seconds until a failpoint must have ended its process. A slow machine takes a minute for six batches of timers after a restore.
KILL_TIMEOUT_S = 180.0
#: Emails that the mail server takes per second while the mailer is killed. The number of emails in doubt depends on it.
SERVER_PER_S = 100


def take_email(envelope: object) -> None:
    """Take an email in the time that a server with `SERVER_PER_S` needs."""
    time.sleep(1 / SERVER_PER_S)


def kill_at_failpoints(run: ScenarioRun, *, process: Process, failpoints: Iterable[str], is_wiped: bool) -> None:
    """Start the process once per failpoint, armed, and wait until the failpoint kills it."""
    with run.shop_open():
        for failpoint in failpoints:
            if failpoint == "restore.applied" and not is_wiped:
                continue  # nothing is restored when the state is kept
            run.note_fault(process)
            process.kill()
            if is_wiped:
                run.wipe_state(process)
            hit = run.rng.randint(1, 1 if failpoint in REACHED_ONCE else MAX_HITS)
            process.start(**{VARIABLE: f"{failpoint}@{hit}"})
            run.wait_until(lambda: process.exit_code is not None, f"{failpoint} is reached", KILL_TIMEOUT_S)
            assert process.exit_code == -signal.SIGKILL, (
                f"{failpoint}: exit code {process.exit_code}, see {process.log_file}"
            )
            run.row.kills += 1
            run.log(f"killed at {failpoint}")
        run.restart(process, is_wiped=is_wiped)
        run.await_emails(30)


def kill_worker(run: ScenarioRun, *, is_wiped: bool) -> None:
    """Kill the worker at every failpoint of the commit, the scheduler and the takeover of partitions."""
    kill_at_failpoints(run, process=run.stack.worker, failpoints=WORKER_FAILPOINTS, is_wiped=is_wiped)


def kill_mailer(run: ScenarioRun, *, is_wiped: bool) -> None:
    """Kill the mailer in every phase of the SMTP conversation, then at every failpoint of the send ledger."""
    mailer, inbox = run.stack.mailer, run.stack.inbox
    inbox.behaviour = take_email
    with run.shop_open():
        for phase in SMTP_PHASES:
            hits_left = run.rng.randint(1, 20)

            def kill_in_phase(reached: str, phase: str = phase) -> None:
                nonlocal hits_left
                hits_left -= reached == phase
                if not hits_left:
                    mailer.signal(signal.SIGKILL)

            run.note_fault(mailer)
            inbox.on_phase = kill_in_phase
            run.wait_until(lambda: mailer.exit_code is not None, f"the mail server reached {phase}", KILL_TIMEOUT_S)
            inbox.on_phase = None
            run.row.kills += 1
            run.log(f"killed in SMTP phase {phase}")
            run.restart(mailer, is_wiped=is_wiped)
    kill_at_failpoints(run, process=mailer, failpoints=MAILER_FAILPOINTS, is_wiped=is_wiped)
    inbox.behaviour = None


def kill_renderers(run: ScenarioRun) -> None:
    """Kill each renderer of the mailer again and again, while the mailer goes on."""
    mailer = run.stack.mailer
    with run.shop_open():
        for _ in range(RENDERER_KILLS):
            run.await_emails(run.rng.randint(1, 30))
            run.wait_until(lambda: mailer.metrics().get("takk_renderers") == RENDERERS, "all renderers are ready")
            run.note_fault(mailer)
            for renderer in _children(mailer.pid):
                os.kill(renderer, signal.SIGKILL)
                run.row.kills += 1
        run.await_emails(30)
    assert mailer.exit_code is None, "the mailer ended with its renderers"


def _children(pid: int) -> list[int]:
    """Return the process ids of the children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def random_kills(run: ScenarioRun) -> None:
    """Kill a random process several times per minute."""
    with run.shop_open():
        deadline = time.monotonic() + run.seconds
        while time.monotonic() < deadline:
            process = run.rng.choice(run.stack.processes)
            # On a loaded machine a worker can miss its session, be fenced and exit. That is one more death, not a failed scenario.
            run.await_emails(run.rng.randint(20, 120), is_supervised=True)
            run.kill(process)
            run.restart(process, is_wiped=run.rng.random() < WIPED_SHARE)
