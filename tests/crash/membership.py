"""Scenarios in which partitions get another owner, or must not: paused processes, scaling and rolling restarts."""

from __future__ import annotations

import signal

from streams.tools.local.processes import Process
from tests.crash.scenario_run import ScenarioRun
from tests.crash.stops import WORKER


def zombies(run: ScenarioRun) -> None:
    """Pause a worker, then a mailer, past its session timeout while others take over; resumed, it is fenced and has no effect."""
    stack = run.stack
    with run.shop_open():
        for paused, others, stage in (
            (stack.workers[0], stack.workers[1:], "flows"),
            (stack.mailers[0], stack.mailers[1:], "mailer"),
        ):
            run.await_emails(60)
            run.note_fault(paused)
            paused.signal(signal.SIGSTOP)
            run.row.kills += 1
            partitions = stack.settings.partitions
            run.wait_until(
                lambda others=others, stage=stage, partitions=partitions: (
                    sum(owned_partitions(process, stage) for process in others) == partitions
                ),
                "the others took over",
            )
            run.await_emails(60)
            paused.signal(signal.SIGCONT)
            run.wait_until(
                lambda paused=paused: paused.exit_code is not None or paused.is_ready,
                "the resumed process exited or rejoined",
            )
            exit_code = paused.exit_code
            run.log(f"the resumed {paused.role} {'rejoined' if exit_code is None else f'exited with {exit_code}'}")
            if exit_code is not None:
                run.restart(paused)
            run.await_emails(60)


def owned_partitions(process: Process, stage: str) -> int:
    """Return the number of partitions of `stage` that are assigned to `process`, from its metrics."""
    return int(process.series().get(f'takk_assigned_partitions{{stage="{stage}"}}', 0))


def scaling(run: ScenarioRun) -> None:
    """Scale from one worker to three and back to one under load."""
    first, *others = run.stack.workers
    with run.shop_open():
        for process in others:
            process.stop()
        run.await_emails(100)
        for process in others:
            run.note_fault(others=[WORKER])
            run.restart(process)
            run.await_emails(60)
        partitions = run.stack.settings.partitions
        run.wait_until(
            lambda: sum(owned_partitions(worker, "flows") for worker in run.stack.workers) == partitions,
            "all partitions have an owner",
        )
        if owned_partitions(first, "flows") == partitions:
            run.row.problems.append("two more workers took no partition from the first")
        for process in others:
            run.note_fault(process)
            assert process.stop() == 0
            run.await_emails(60)
        run.wait_until(lambda: owned_partitions(first, "flows") == partitions, "the first worker has all partitions")


def rolling(run: ScenarioRun) -> None:
    """Restart every process in turn; thanks to static membership the others keep their partitions."""
    stack = run.stack
    with run.shop_open():
        run.await_emails(60)
        for process in stack.processes:
            stage = "flows" if process.role == "worker" else "mailer"
            others = [other for other in stack.processes if other.role == process.role and other is not process]
            before = {id(other): owned_partitions(other, stage) for other in others}
            run.note_fault(process)
            assert process.stop() == 0, f"the {process.role} did not exit cleanly"
            process.start()
            process.await_ready()
            run.await_emails(60)
            after = {id(other): owned_partitions(other, stage) for other in others}
            if before != after:
                run.row.problems.append(f"partitions moved while a {process.role} restarted: {before} -> {after}")
