"""Scenarios in which the disk of a process fails: damaged files, I/O errors, and a power loss that takes all that was not synced."""

from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import uuid4

from streams.tools.local.processes import Process
from tests.crash.kills import take_email
from tests.crash.scenario_run import ScenarioRun
from tests.harness.kafka_faults import damage

#: Emails to wait for between two faults.
EMAILS_BETWEEN = 100
#: Power losses of one scenario.
POWER_LOSSES = 4
_SYNCED, _EIO = "synced", "eio"


def faulty_disk(folder: Path) -> dict[str, str]:
    """Return the settings of processes whose disk fails on demand, and whose syncs are noted in `folder`.

    Raises:
        subprocess.CalledProcessError: the library cannot be compiled.
    """
    library = folder / "faulty_disk.so"
    source = Path(__file__).parent / "faulty_disk.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return {
        "LD_PRELOAD": str(library),
        "TAKK_CRASH_SYNCED": str(folder / _SYNCED),
        "TAKK_CRASH_EIO": str(folder / _EIO),
    }


def corrupt_block(run: ScenarioRun) -> None:
    """Damage the customers of a worker, on all partitions: it ends when it reads them, and restores them. No record becomes a dead letter."""
    # The session is long: another worker that took over meanwhile would write all values again.
    victim, owned = run.stack.workers[0], run.stack.settings.partitions // 2
    with run.shop_open():
        run.await_emails(3 * EMAILS_BETWEEN)
        run.kill(victim)
        for folder in run.state_of(victim):
            for store in folder.glob("**/customers/[0-9]*"):
                damage(store, b"c%d-" % run.row.seed)
        victim.start()
        # A standby replica is damaged too, and nobody reads it.
        run.wait_until(lambda: len(_quarantined(run, victim)) >= owned, "the stores are moved away", is_supervised=True)
        run.await_emails(3 * EMAILS_BETWEEN, is_supervised=True)
    assert "state cannot be read, exiting" in victim.log_file.read_text(errors="replace")
    assert run.dead_letters() == {}


def _quarantined(run: ScenarioRun, process: Process) -> list[Path]:
    return [copy for folder in run.state_of(process) for copy in folder.glob("**/*.corrupt-*")]


def io_errors(run: ScenarioRun) -> None:
    """Let one write, one sync and one read of a worker's stores fail with EIO: it ends, is restarted, and restores what it needs."""
    victim, control = run.stack.workers[0], run.stack.folder / _EIO
    (folder,) = run.state_of(victim)
    with run.shop_open():
        for operation in ("write", "sync", "read"):
            run.await_emails(EMAILS_BETWEEN)
            run.log(f"a {operation} fails")
            run.note_fault(victim)
            control.write_text(f"{operation} {folder}\n", encoding="utf-8")
            if operation != "write":  # a store is synced and read when it is opened
                assert victim.stop() == 0
                victim.start()
            run.wait_until(lambda: not control.exists(), f"a {operation} has failed", is_supervised=True)
            run.await_emails(EMAILS_BETWEEN, is_supervised=True)
            run.wait_until(lambda: victim.is_ready, "the worker is ready", is_supervised=True)
    assert _quarantined(run, victim), "no store was restored"
    assert run.dead_letters() == {}


def power_loss_of_worker(run: ScenarioRun) -> None:
    """Kill a worker, and drop what was not synced to its disk: it restores the rest from its changelogs."""
    _power_losses(run, run.stack.workers[0])


def power_loss_of_mailer(run: ScenarioRun) -> None:
    """Kill a mailer while emails leave, drop what was not synced to its disk, and start it in another boot: it trusts no mark."""
    run.stack.inbox.behaviour = take_email  # the faster the server, the more emails are in doubt
    _power_losses(run, run.stack.mailers[0])


def _power_losses(run: ScenarioRun, victim: Process) -> None:
    dropped = 0
    with run.shop_open():
        for _ in range(POWER_LOSSES):
            run.await_emails(3 * EMAILS_BETWEEN)
            run.kill(victim)
            dropped += sum(drop_unsynced(folder, run.stack.folder / _SYNCED) for folder in run.state_of(victim))
            boot_id = run.stack.folder / f"boot-id-{run.row.kills}"
            boot_id.write_text(f"{uuid4()}\n", encoding="ascii")
            run.restart(victim, TAKK_CRASH_BOOT_ID=str(boot_id))
        run.await_emails(EMAILS_BETWEEN)
    run.log(f"{dropped:,} bytes were not synced")
    assert dropped, "everything was synced, so nothing was tested"


def drop_unsynced(folder: Path, synced: Path) -> int:
    """Cut every file in `folder` to the size it had when it was last synced, and return the number of bytes that are gone.

    Args:
        folder: the state of a process that has ended.
        synced: the notes of the library: sizes at syncs, and names after a rename.
    """
    sizes: dict[str, int] = {}
    for line in synced.read_text(encoding="utf-8").splitlines():
        kind, rest = line[0], line[2:]
        if kind == "S":
            size, _, path = rest.partition(" ")
            sizes[path] = int(size)
        else:
            old, _, new = rest.partition("\t")
            for path in [path for path in sizes if path == old or path.startswith(f"{old}/")]:
                sizes[new + path.removeprefix(old)] = sizes.pop(path)
    dropped = 0
    for path in folder.rglob("*"):
        if path.is_file() and (left := sizes.get(str(path), 0)) < (size := path.stat().st_size):
            dropped += size - left
            with path.open("r+b") as file:
                file.truncate(left)
    return dropped
