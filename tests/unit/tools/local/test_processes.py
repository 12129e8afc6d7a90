"""The worker and mailer processes that the demo and the tests start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streams.tools.local.processes import Process, ProcessFailed


def process_of(source: str, directory: Path) -> Process:
    """Return a worker whose program is `source`."""
    program = directory / "program"
    (program / "streams").mkdir(parents=True)
    (program / "streams" / "__main__.py").write_text(source)
    return Process("worker", {}, directory / "worker.log", program)


def test_ctrl_c_does_not_reach_the_process(tmp_path: Path) -> None:
    """A process has its own process group, so Ctrl-C in a terminal does not stop it before the demo does."""
    process = process_of("import time; time.sleep(60)", tmp_path)
    process.start()
    try:
        assert os.getpgid(process.pid) == process.pid
        assert os.getpgid(process.pid) != os.getpgrp()
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            [
                '{"event": "Starting", "level": "info"}',
                '{"event": "The disk is full", "level": "error", "exception": "Traceback"}',
                '{"event": "Stopping", "level": "info"}',
            ],
            "The disk is full",
        ),
        (["Error: SMTP_PORT: not a number"], "Error: SMTP_PORT: not a number"),
        (['{"event": "Starting", "level": "info"}'], "Starting"),
    ],
)
def test_a_process_that_ends_while_starting(log: list[str], reason: str, tmp_path: Path) -> None:
    """The message names the log and contains its errors, without stack traces and without the lines around them."""
    process = process_of(f"print({chr(10).join(log)!r})", tmp_path)
    process.start()
    with pytest.raises(ProcessFailed) as failed:
        process.await_ready()
    assert str(failed.value) == f"the worker ended while starting. Its log is {tmp_path / 'worker.log'}:\n{reason}"
