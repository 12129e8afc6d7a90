"""Scenarios in which something else fails: brokers, the mail server, the disk, the changelog, the clock, and the input."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic

from streams.tools.local.inbox.server import HANG_UP
from tests.crash.scenario_run import ScenarioRun


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
