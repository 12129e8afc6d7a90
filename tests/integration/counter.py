"""A minimal job on the runtime, as a process: it counts the records of each key.

It reads `<app>-in`, keeps the count of each key in the table `counts`, and publishes it on `<app>-out`. A record `forget` deletes its key's
count. A record `hold` stops a worker with `--hold FILE` just before its commit, when the whole transaction is on the broker, until FILE exists.
The records `EXIT` and `SEGFAULT` end the process, and `SLOW` takes 50 ms. With `--isolate` such records are isolated.
With `--extra` a second stage does the same from `<app>-more`, with the table `extras`.
With `--hold-takeover FILE` every takeover of partitions waits for FILE, after it has fenced the previous owners.
`python -m tests.integration.counter -h` lists the options.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from streams.agents.crash_log import KafkaCrashLog, report_crashes
from streams.runtime import failpoints
from streams.runtime.app import App, RestartableWorker
from streams.runtime.isolation.isolation import Isolation
from streams.runtime.processing.batch import Batch
from streams.runtime.processing.stage import Stage
from streams.wire.codec import open_codec

PARTITIONS = 4
#: Seconds without a heartbeat before the broker gives a worker's partitions away, unless `--session` sets others. Heartbeats come every 3 s.
SESSION_S = 6.0
TABLE = "counts"
EXTRA_TABLE = "extras"
FORGET = b"forget"
HOLD = b"hold"
EXIT, SEGFAULT, SLOW = b"exit", b"segfault", b"slow"
#: The folder of the crash notes in the state directory.
NOTES = "crash-notes"
#: Printed when the worker waits in its transaction, and when it waits in a takeover.
HOLDING = "holding an open transaction"
TAKING_OVER = "holding a takeover"
#: Printed repeatedly while it stops and a takeover still waits.
STOPPING = "stopping"
#: Printed for every heartbeat that the broker has accepted.
HEARTBEAT = "heartbeat accepted"


def step(count: int, value: bytes) -> int:
    """Return the count of a key after a record with `value`. The job and the tests share this function."""
    return 0 if value == FORGET else count + 1


def main(arguments: argparse.Namespace) -> None:
    """Run until stopped."""
    held: list[Batch[None]] = []
    if arguments.hold:
        failpoints.reach = partial(hold_commit, held, arguments.hold)
    out = f"{arguments.app}-out"
    app = App(
        arguments.app,
        {"bootstrap.servers": arguments.bootstrap},
        brokers=f"kafka://{arguments.bootstrap}",
        partitions=PARTITIONS,
        state_dir=arguments.state,
        instance_id=arguments.instance,
        batch_records=500,
        session_timeout_s=arguments.session,
    )
    app.task_manager.takeover.is_changelog_accepted = arguments.accept_changelog
    app.task_manager.takeover.are_offsets_accepted = arguments.accept_offsets
    if arguments.hold_takeover:
        failpoints.reach = partial(hold_takeover, app, arguments.hold_takeover)
        logging.getLogger("aiokafka.consumer.group_coordinator").addHandler(Heartbeats(logging.DEBUG))
        logging.getLogger("aiokafka.consumer.group_coordinator").setLevel(logging.DEBUG)
    if arguments.isolate:
        crash_log = crash_log_of(arguments.bootstrap, arguments.app)
        report_crashes(crash_log, arguments.state / NOTES, app.task_manager.clock())
        app.task_manager.isolation = Isolation(crash_log, arguments.state / NOTES)
    by = [("by", arguments.state.name.encode())]

    def count(record: Any, batch: Batch[None]) -> Any:
        key = record.key()
        if record.value() == EXIT:
            os._exit(3)
        if record.value() == SEGFAULT:
            ctypes.string_at(0)
        if record.value() == SLOW:
            time.sleep(0.05)
        number = step(int(batch.get(key) or 0), record.value())
        return key, b"%d" % number if number else None, [(out, key, b"%d" % number, by)]

    def register(name: str, topic: str, table: str) -> None:
        stage: Stage[None] = Stage(
            name=name,
            topics=(topic,),
            table=table,
            # No record is invalid here. The dead letter of one that ended the process appears as an output.
            dead_letter=lambda record, reason, detail, now: (out, record.key(), reason.encode(), by),
        )

        @app.stage(stage)  # type: ignore[untyped-decorator]  # Faust's decorators carry no types
        async def counter(batches: AsyncIterator[Batch[None]]) -> None:
            async for batch in batches:
                batch.apply(count)
                held.extend(batch for record in batch.records if record.value() == HOLD)
                await batch.commit()

    register("counter", f"{arguments.app}-in", TABLE)
    if arguments.extra:
        register("extra", f"{arguments.app}-more", EXTRA_TABLE)
    RestartableWorker(app.faust, loglevel="warn", redirect_stdouts=False).execute_from_commandline()


def crash_log_of(bootstrap: str, app: str) -> KafkaCrashLog:
    """Return the crash log of a job, on `<app>-crash-notes`."""
    return KafkaCrashLog({"bootstrap.servers": bootstrap}, open_codec(), f"{app}-reader", f"{app}-crash-notes")


def hold_commit(held: list[Batch[None]], until: Path, place: str) -> None:
    """Just before a held batch commits, send all of it to the broker, and wait for the file."""
    if place == "counter.offsets" and held:
        held.pop().task.producer.flush(30.0)
        print(HOLDING, flush=True)  # noqa: T201 - the test reads it
        while not until.exists():
            time.sleep(0.01)


class Heartbeats(logging.Handler):
    """Prints the heartbeats that the broker has accepted; aiokafka only logs them."""

    def emit(self, record: logging.LogRecord) -> None:
        if "successful heartbeat" in record.getMessage():
            print(HEARTBEAT, flush=True)  # noqa: T201 - the test reads it


def hold_takeover(app: App, until: Path, place: str) -> None:
    """In a takeover, wait for the file, like a restore that takes long. The event loop runs meanwhile."""
    if place == "tasks.fenced":
        print(TAKING_OVER, flush=True)  # noqa: T201 - the test reads it
        while not until.exists():
            time.sleep(0.01)
            if app.faust.should_stop:
                print(STOPPING, flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap")
    parser.add_argument("app")
    parser.add_argument("state", type=Path)
    parser.add_argument("--hold", type=Path)
    parser.add_argument("--hold-takeover", type=Path)
    parser.add_argument("--accept-changelog", action="store_true")
    parser.add_argument("--accept-offsets", action="store_true")
    parser.add_argument("--instance")
    parser.add_argument("--isolate", action="store_true")
    parser.add_argument("--extra", action="store_true")
    parser.add_argument("--session", type=float, default=SESSION_S)
    options = parser.parse_args()
    sys.argv = sys.argv[:1]  # Faust parses it too
    main(options)
