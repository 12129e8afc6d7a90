"""The scenarios of the campaign: what is done to a stack, and what must hold afterwards besides that nothing is lost or doubled."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic

from streams.runtime.failpoints import VARIABLE
from streams.settings import PROJECT_ROOT
from streams.tools.local.inbox.server import HANG_UP
from streams.tools.local.processes import Process
from tests.crash.scenario_run import ScenarioRun
from tests.crash.upgrade import BEFORE, upgrade

SESSION_S = 6
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


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A row of the table. `play` does what the name says and leaves the stack running; the campaign judges.

    `judges_itself`: it has to be judged before its play is over. `has_own_clock`: the file `clock` in the stack's folder shifts the
    time of its processes by so many seconds. `before`: the git revision whose program the processes run at first.
    """

    name: str
    acceptance: str
    play: Callable[[ScenarioRun], None]
    workers: int = 1
    mailers: int = 1
    brokers: int = 1
    judges_itself: bool = False
    before: str = ""
    has_own_clock: bool = False
    env: dict[str, str] = field(default_factory=dict)


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


def zombies(run: ScenarioRun) -> None:
    """Stopped past the session timeout while another takes over, then woken: fenced, without effect."""
    stack = run.stack
    with run.shop_open():
        for old, others, stage in (
            (stack.workers[0], stack.workers[1:], "flows"),
            (stack.mailers[0], stack.mailers[1:], "mailer"),
        ):
            run.await_emails(60)
            old.signal(signal.SIGSTOP)
            run.row.kills += 1
            whole = stack.settings.partitions
            run.until(
                lambda others=others, stage=stage, whole=whole: sum(owned(one, stage) for one in others) == whole,
                "the others took over",
            )
            run.await_emails(60)
            old.signal(signal.SIGCONT)
            run.until(lambda old=old: old.exit_code is not None or old.is_ready, "the zombie ended or rejoined")
            run.log(f"the zombie {'rejoined' if old.exit_code is None else f'ended with {old.exit_code}'}")
            if old.exit_code is not None:
                run.restart(old)
            run.await_emails(60)


def owned(process: Process, stage: str) -> int:
    """Partitions of `stage` that `process` says it owns."""
    return int(process.series().get(f'takk_assigned_partitions{{stage="{stage}"}}', 0))


def scaling(run: ScenarioRun) -> None:
    """One worker, then three, then one, under load."""
    first, *others = run.stack.workers
    with run.shop_open():
        for process in others:
            process.stop()
        run.await_emails(100)
        for process in others:
            run.restart(process)
            run.await_emails(60)
        whole = run.stack.settings.partitions
        run.until(
            lambda: sum(owned(one, "flows") for one in run.stack.workers) == whole, "all partitions have an owner"
        )
        if owned(first, "flows") == whole:
            run.row.problems.append("two more workers took no partition from the first")
        for process in others:
            assert process.stop() == 0
            run.await_emails(60)
        run.until(lambda: owned(first, "flows") == whole, "one has them all again")


def rolling(run: ScenarioRun) -> None:
    """Every process stopped and started in turn; with static membership the others keep their partitions."""
    stack = run.stack
    with run.shop_open():
        run.await_emails(60)
        for process in stack.processes:
            stage = "flows" if process.role == "worker" else "mailer"
            others = [one for one in stack.processes if one.role == process.role and one is not process]
            before = {id(one): owned(one, stage) for one in others}
            assert process.stop() == 0, f"{process.role} did not end cleanly"
            process.start()
            process.await_ready()
            run.await_emails(60)
            after = {id(one): owned(one, stage) for one in others}
            if before != after:
                run.row.problems.append(f"partitions moved while a {process.role} was restarted: {before} -> {after}")


def brokers(run: ScenarioRun) -> None:
    """Every broker killed and brought back in turn; what ends for want of one is started again, as a supervisor would."""
    stack = run.stack
    with run.shop_open(), run.supervise():
        for broker in stack.brokers:
            run.await_emails(60)
            broker.kill()
            run.row.kills += 1
            run.log(f"broker on port {broker.port} killed")
            if len(stack.brokers) > 1:
                run.await_emails(60)  # two of three are enough
            broker.start()
            run.await_emails(60)
        run.close_shop()
        stack.wait_until_idle(timeout_s=180)


def mail_server(run: ScenarioRun) -> None:
    """The mail server dead, slow, greylisting, hanging up after the final dot, talking nonsense."""
    stack, inbox, rng = run.stack, run.stack.inbox, run.rng

    def slow(envelope: Any) -> None:
        time.sleep(0.2)  # the server's, not the test's: it is what is slow

    behaviours: list[tuple[str, Callable[[Any], str | None]]] = [
        ("4xx", lambda envelope: "451 4.7.1 Greylisted, come back later" if rng.random() < 0.5 else None),
        ("slow", slow),
        ("hangs up after the final dot", lambda envelope: HANG_UP if rng.random() < 0.1 else None),
        ("talks nonsense", lambda envelope: "\x00\x01 what?" if rng.random() < 0.1 else None),
    ]
    with run.shop_open():
        for name, behaviour in behaviours:
            run.log(name)
            inbox.behaviour = behaviour
            run.await_emails(60)
            inbox.behaviour = None
        run.log("dead")
        inbox.stop()
        run.until(lambda: stack.mailer.metrics().get("takk_smtp_paused", 0) == 1, "the mailer waits")
        inbox.start()
        run.await_emails(60)


#: Bytes that the worker's log may still grow by on the full disk: RocksDB's own files pass it within some commits.
LOG_ROOM = 32_768


def disk_full(run: ScenarioRun) -> None:
    """RocksDB cannot write (a limit on the size of its files): the worker ends with an error, and goes on when there is room."""
    worker = run.stack.worker
    with run.shop_open():
        run.await_emails(60)
        # The limit holds for the worker's log too, which must still be able to say why it ends.
        room = worker.log_file.stat().st_size + LOG_ROOM
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (room, room))
        run.until(lambda: worker.exit_code is not None, "the worker ended")
        run.row.kills += 1
        assert worker.exit_code not in (0, None), "a full disk passed for a clean end"
        assert "commit failed" in worker.log_file.read_text(errors="replace")
        run.restart(worker)
        run.await_emails(60)


def changelog_deleted(run: ScenarioRun) -> None:
    """Somebody deletes the changelog: the worker refuses to start, whether its disk is there or not, and says why."""
    stack, worker = run.stack, run.stack.worker
    with run.shop_open():
        run.await_emails(100)
    stack.wait_until_idle()
    run.judge()
    admin = AdminClient(stack.settings.kafka())
    name = f"{stack.settings.app_id}-flows-customers-changelog"
    for is_wiped in (False, True):
        for future in admin.delete_topics([name]).values():
            future.result()
        run.until(lambda: name not in admin.list_topics(timeout=10).topics, "the changelog is gone")
        for future in admin.create_topics(
            [NewTopic(name, stack.settings.partitions, 1, config={"cleanup.policy": "compact"})]
        ).values():
            future.result()
        if is_wiped:
            run.wipe_disk(worker)
        worker.start()
        run.until(lambda: worker.exit_code is not None, "the worker refused")
        said = worker.log_file.read_text(errors="replace")
        assert worker.exit_code not in (0, None), "the worker went on with an empty state"
        assert ("changelog was deleted" if is_wiped else "ahead of its changelog") in said, said[-2000:]


def clock_steps(run: ScenarioRun) -> None:
    """The wall clock of worker and mailer an hour forward, an hour back, and right again."""
    file = run.stack.folder / "clock"
    with run.shop_open():
        for shift in (0, 3600, 0, -3600, 0):
            run.log(f"the clock is {shift:+} s")
            file.write_text(str(shift), encoding="ascii")
            run.await_emails(300)


def poison(run: ScenarioRun) -> None:
    """One record in a hundred is rubbish or breaks a rule."""
    with run.shop_open(poison=0.01, rate=60.0):
        run.await_emails(600)


_SHORT_SESSION = {"TAKK_SESSION_TIMEOUT_S": str(SESSION_S)}
SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="worker edges, disk kept",
        acceptance="kill -9 at each of 14 places; nothing lost or doubled",
        play=partial(kill_worker, is_wiped=False),
    ),
    Scenario(
        name="worker edges, disk wiped",
        acceptance="the same at 15 places, the state restored from Kafka",
        play=partial(kill_worker, is_wiped=True),
    ),
    Scenario(
        name="mailer edges, disk kept",
        acceptance="kill -9 at 14 places; doubled at most where the ledger says unknown",
        play=partial(kill_mailer, is_wiped=False),
    ),
    Scenario(
        name="mailer edges, disk wiped",
        acceptance="the same without this disk's notes: more unknown, none of them untold",
        play=partial(kill_mailer, is_wiped=True),
    ),
    Scenario(
        name="random kill -9",
        acceptance="3 workers and 2 mailers, a quarter of the disks wiped",
        play=random_kills,
        workers=3,
        mailers=2,
        env=_SHORT_SESSION,
    ),
    Scenario(
        name="zombies",
        acceptance="stopped past the session timeout, woken: fenced, ends or rejoins",
        play=zombies,
        workers=2,
        mailers=2,
        env=_SHORT_SESSION,
    ),
    Scenario(
        name="scaling out and in",
        acceptance="1, 2, 3, 2, 1 workers under load",
        play=scaling,
        workers=3,
        env=_SHORT_SESSION,
    ),
    Scenario(name="broker restarted", acceptance="kill -9 of the only broker, brought back", play=brokers),
    Scenario(
        name="three brokers",
        acceptance="replication 3, min.insync 2: each killed and brought back in turn",
        play=brokers,
        workers=2,
        brokers=3,
    ),
    Scenario(name="rolling restart", acceptance="no partition moves", play=rolling, workers=2, mailers=2),
    Scenario(
        name="mail server",
        acceptance="4xx, slow, hang-ups, nonsense, dead: all mails in the end, each once or told",
        play=mail_server,
    ),
    Scenario(
        name="disk full", acceptance="the worker ends with an error and goes on when there is room", play=disk_full
    ),
    Scenario(
        name="changelog deleted",
        acceptance="a clear refusal, disk kept and wiped",
        play=changelog_deleted,
        judges_itself=True,
    ),
    Scenario(
        name="clock steps",
        acceptance="an hour forward and back: no timer lost or fired twice",
        play=clock_steps,
        has_own_clock=True,
    ),
    Scenario(
        name="upgrade",
        acceptance="processes of an earlier commit replaced one by one: old and new work side by side",
        play=upgrade,
        workers=2,
        mailers=2,
        before=BEFORE,
        judges_itself=True,
    ),
    Scenario(name="poison", acceptance="1 % undecodable records: each a dead letter, the rest goes on", play=poison),
)


def environment(scenario: Scenario, folder: Path) -> dict[str, str]:
    """The settings of the scenario's processes."""
    env = dict(scenario.env)
    if scenario.has_own_clock:
        clock = Path(__file__).parent / "clock"
        # Where a day lasts a second, a mail that was put off under a clock an hour ahead would be put off for an hour.
        templates = shutil.copytree(
            PROJECT_ROOT / "templates", folder / "templates", ignore=shutil.ignore_patterns("rules.yaml")
        )
        env |= {
            "TAKK_TEMPLATES_DIR": str(templates),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(clock), os.environ.get("PYTHONPATH")))),
            "TAKK_CRASH_CLOCK": str(folder / "clock"),
        }
    return env
