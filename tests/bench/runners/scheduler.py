"""The scheduler agent alone: stores all timers while its clock stands before them, then the clock jumps and all are due. A due time of 0
leaves the clock to run: each timer is fired when it is due."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import faust

from streams.agents import scheduler
from streams.agents.instrumentation import Instrumentation
from streams.runtime.app import App
from streams.wire.codec import open_codec


def peak_memory() -> int:
    """The peak of this process's resident memory in MiB, as proc(5) tells it: getrusage(2) keeps the peak of the process that started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) // 1024


def main(bootstrap: str, count: int, run: str, state: str, due_ms: int) -> None:
    """Print three RESULT lines, stored, fired and memory (peak, in MiB); exits when `count` timers were fired."""
    app = App(
        run,
        {"bootstrap.servers": bootstrap},
        brokers=f"kafka://{bootstrap}",
        partitions=4,
        state_dir=Path(state) / run,
        batch_records=16_000,
    )
    now = due_ms - 60_000
    if due_ms:
        app.task_manager.clock = lambda: now
    instrumentation = Instrumentation(open_codec())
    observed = instrumentation.observed
    stored = fired = 0
    started = jumped = 0.0

    def count_units(stage):
        stage = observed(stage)

        def on_done(batch) -> None:
            nonlocal stored, fired, jumped, now, started
            started = started or time.time() - (time.perf_counter() - batch.started)
            stored += len(batch.records)
            fired += batch.sent.get("flow-due", 0)
            if stored == count and not jumped:
                seconds = time.time() - started
                print(f"RESULT stored {stored} {seconds:.2f} {stored / seconds:.0f}", flush=True)
                jumped, now = time.time(), due_ms + 1000
            if fired == count:
                seconds = time.time() - jumped
                print(f"RESULT fired {fired} {seconds:.2f} {fired / seconds:.0f}", flush=True)
                print(f"RESULT memory {fired} 0 {peak_memory()}", flush=True)
                os._exit(0)

        stage.on_done = on_done
        return stage

    instrumentation.observed = count_units
    scheduler.register(app, instrumentation)
    faust.Worker(app.faust, loglevel="warn", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.argv = ["takk"]
    main(arguments[0], int(arguments[1]), arguments[2], arguments[3], int(arguments[4]))
