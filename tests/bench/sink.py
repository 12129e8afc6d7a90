"""A fast SMTP server for the jobs that send mail, in a process of its own: Postfix's `smtp-sink` where it is installed, else a small one."""

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
    """Postfix's sink; gives its port. It writes nothing down."""
    port = free_port()
    child = subprocess.Popen([str(shutil.which("smtp-sink")), f"127.0.0.1:{port}", "100"])
    try:
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if time.monotonic() > deadline or child.poll() is not None:
                raise RuntimeError("smtp-sink does not listen")
            time.sleep(0.05)
        yield port
    finally:
        child.terminate()
        child.wait()


@contextmanager
def small_sink(journal: Path) -> Iterator[int]:
    """The sink of the bench; gives its port. Each mail accepted is a line in `journal`, half a second later at most."""
    command = [sys.executable, "-m", "tests.bench.runners.smtp_sink", str(journal)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        word, _, port = child.stdout.readline().partition(" ")
        if word != "PORT":
            raise RuntimeError("the sink did not start")
        yield int(port)
    finally:
        child.terminate()
        child.wait()


def read_journal(journal: Path) -> dict[str, list[float]]:
    """The Unix times at which each recipient's mails were accepted."""
    found: dict[str, list[float]] = {}
    for line in journal.read_text().splitlines():
        recipient, _, at = line.partition(" ")
        found.setdefault(recipient, []).append(float(at))
    return found
