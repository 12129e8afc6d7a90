"""A fast SMTP server in its own process, for the jobs that send emails: Postfix's `smtp-sink` if installed, otherwise a small one."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streams.tools.local.kafka.ports import free_port


@contextmanager
def postfix_sink() -> Iterator[int]:
    """Run Postfix's sink, and yield its port. It keeps no journal."""
    port = free_port()
    child = subprocess.Popen([str(shutil.which("smtp-sink")), f"127.0.0.1:{port}", "100"])
    try:
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if time.monotonic() > deadline or child.poll() is not None:
                raise RuntimeError("smtp-sink does not accept connections")
            time.sleep(0.05)
        yield port
    finally:
        child.terminate()
        child.wait()


@contextmanager
def small_sink(journal: Path) -> Iterator[int]:
    """Run the benchmark's own sink, and yield its port. It writes a line to `journal` per accepted email, within half a second."""
    command = [sys.executable, "-m", "tests.bench.runners.smtp_sink", str(journal)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        label, _, port = child.stdout.readline().partition(" ")
        if label != "PORT":
            raise RuntimeError("the sink did not start")
        yield int(port)
    finally:
        child.terminate()
        child.wait()


def read_journal(journal: Path) -> dict[str, list[float]]:
    """Return the Unix times at which each recipient's emails were accepted."""
    accepted: dict[str, list[float]] = {}
    for line in journal.read_text().splitlines():
        recipient, _, at = line.partition(" ")
        accepted.setdefault(recipient, []).append(float(at))
    return accepted
