"""Scenarios in which something outside the processes fails: brokers, the mail server, the disk, a topic, the clock, the input."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka.admin import AdminClient

from streams.runtime.app import EXIT_FATAL
from streams.tools.local.inbox.server import HANG_UP
from streams.wire import topics
from tests.crash.scenario_run import ScenarioRun
from tests.crash.stops import MAILER, WORKER
from tests.harness.kafka_faults import delete_topic

#: Bytes that a log may grow by on the full disk. RocksDB's own files exceed the limit within a few commits.
LOG_ROOM = 32_768
#: Ten years in seconds.
YEARS_S = 315_360_000


def brokers(run: ScenarioRun) -> None:
    """Kill and restart every broker in turn. Processes that exit without a broker are restarted, as a supervisor would do."""
    stack = run.stack
    with run.shop_open(), run.supervise():
        for broker in stack.brokers:
            run.await_emails(60)
            run.note_fault(others=[WORKER, MAILER])
            broker.kill()
            run.row.kills += 1
            run.log(f"killed the broker on port {broker.port}")
            if len(stack.brokers) > 1:
                run.await_emails(60)  # two of three brokers are enough
            broker.start()
            run.await_emails(60)
        run.close_shop()
        stack.wait_until_idle(timeout_s=180)


def mail_server(run: ScenarioRun) -> None:
    """Let the mail server greylist, answer slowly, cut connections after the final dot, send invalid answers, and stop."""
    stack, inbox, rng = run.stack, run.stack.inbox, run.rng

    def slow(envelope: Any) -> None:
        time.sleep(0.2)  # The slow server is simulated; the test itself does not wait for a time.

    behaviours: list[tuple[str, Callable[[Any], str | None]]] = [
        ("4xx answers", lambda envelope: "451 4.7.1 Greylisted, come back later" if rng.random() < 0.5 else None),
        ("slow answers", slow),
        ("connections cut after the final dot", lambda envelope: HANG_UP if rng.random() < 0.1 else None),
        ("invalid answers", lambda envelope: "\x00\x01 what?" if rng.random() < 0.1 else None),
    ]
    with run.shop_open():
        for name, behaviour in behaviours:
            run.log(name)
            run.note_fault(others=[MAILER])
            inbox.behaviour = behaviour
            run.await_emails(60)
            inbox.behaviour = None
        run.log("no answers")
        run.note_fault(others=[MAILER])
        inbox.stop()
        run.wait_until(lambda: stack.mailer.metrics().get("takk_smtp_paused", 0) == 1, "the mailer pauses")
        inbox.start()
        run.await_emails(60)


def disk_full(run: ScenarioRun) -> None:
    """Limit the size of the worker's files: the worker exits with an error, and continues after a restart without the limit."""
    worker = run.stack.worker
    with run.shop_open():
        run.await_emails(60)
        # The limit also applies to the worker's log, which needs room for the error.
        run.note_fault(worker)
        limit = worker.log_file.stat().st_size + LOG_ROOM
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (limit, limit))
        run.wait_until(lambda: worker.exit_code is not None, "the worker exited")
        run.row.kills += 1
        assert worker.exit_code not in (0, None), "the worker exited cleanly on a full disk"
        assert "commit failed" in worker.log_file.read_text(errors="replace")
        run.restart(worker)
        run.await_emails(60)


def changelog_deleted(run: ScenarioRun) -> None:
    """Replace the changelog by an empty one: the worker refuses to start with and without its disk, and its log has the reason."""
    stack, worker = run.stack, run.stack.worker
    with run.shop_open():
        run.await_emails(100)
    stack.wait_until_idle()
    run.judge()
    admin = AdminClient(stack.settings.kafka())
    name = f"{stack.settings.app_id}-flows-customers-changelog"
    for is_wiped in (False, True):
        delete_topic(admin, name)
        topics.create_topics(stack.settings, [name])
        if is_wiped:
            run.wipe_state(worker)
        worker.start()
        run.wait_until(lambda: worker.exit_code is not None, "the worker refused to start")
        log = worker.log_file.read_text(errors="replace")
        assert worker.exit_code not in (0, None), "the worker continued with empty state"
        assert ("changelog was deleted" if is_wiped else "belongs to another changelog") in log, log[-2000:]


def clock_steps(run: ScenarioRun) -> None:
    """Set the wall clock of worker and mailer back and forward: three minutes, one hour, and ten years for a moment."""
    file = run.stack.folder / "clock"
    with run.shop_open():
        for shift_s in (0, -180, 0):
            run.log(f"the clock is off by {shift_s:+} s")
            file.write_text(str(shift_s), encoding="ascii")
            run.await_emails(300)
        for shift_s in (3600, -3600, YEARS_S):
            step_clock(run, shift_s)
            run.await_emails(100)


def step_clock(run: ScenarioRun, shift_s: int) -> None:
    """Let the wall clock step: worker and mailer exit, do not start before it is right, and then continue. They decide nothing by it."""
    file, processes = run.stack.folder / "clock", run.stack.processes
    run.log(f"the clock is off by {shift_s:+} s")
    run.note_fault(*processes)
    run.row.kills += len(
        processes
    )  # a process exits at once, like one that is killed: it does not wait for what is on the wire
    file.write_text(str(shift_s), encoding="ascii")
    for code, words in (
        (EXIT_FATAL, "the clock of this machine stepped"),
        (1, "cannot start: the clock of this machine is"),
    ):
        run.wait_until(lambda: all(process.exit_code is not None for process in processes), "worker and mailer exit")
        for process in processes:
            log = process.log_file.read_text(errors="replace")
            assert (process.exit_code, words in log) == (code, True), log[-2000:]
            if code == EXIT_FATAL:
                process.start()
    file.write_text("0", encoding="ascii")
    for process in processes:
        run.restart(process)


def poison(run: ScenarioRun) -> None:
    """Follow one percent of the records by a record of random bytes."""
    with run.shop_open(poison=0.01, rate=60.0):
        run.await_emails(600)
