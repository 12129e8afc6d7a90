"""The scheduler agent alone: it stores all timers while its clock is stopped before them. Then the clock jumps, and all are due.

With a due time of 0, the clock is the real one, and each timer fires when it is due.
"""

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
from tests.bench.runners.result import print_result


def peak_memory() -> int:
    """Return the peak resident memory of this process in MiB (proc(5)).

    getrusage(2) is not used: it keeps the peak of the process that started this one.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) // 1024


def main(bootstrap: str, count: int, run: str, state: str, due_ms: int) -> None:
    """Fire `count` timers, and print three results: `stored` and `fired` in timers per second, and `memory`, the peak in MiB."""
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
    stored = fired = 0
    started = jumped = 0.0

    def on_done(batch) -> None:
        nonlocal stored, fired, jumped, now, started
        started = started or time.time() - (time.perf_counter() - batch.started)
        stored += len(batch.records)
        fired += batch.sent.get("flow-due", 0)
        if stored == count and not jumped:
            print_result("stored", stored, time.time() - started)
            jumped, now = time.time(), due_ms + 1000
        if fired == count:
            print_result("fired", fired, time.time() - jumped)
            print(f"RESULT memory {fired} 0 {peak_memory()}", flush=True)
            os._exit(0)

    scheduler.register(app, instrumentation)
    app.task_manager.stages["scheduler"].on_done = on_done
    faust.Worker(app.faust, loglevel="warn", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.argv = ["takk"]
    main(arguments[0], int(arguments[1]), arguments[2], arguments[3], int(arguments[4]))
