"""Scenarios in which partitions change their owner, or must not: paused processes, scaling, and rolling restarts."""

from __future__ import annotations

import signal

from streams.tools.local.processes import Process
from tests.crash.scenario_run import ScenarioRun


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
