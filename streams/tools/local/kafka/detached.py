"""A broker that outlives the command that started it: `takk kafka start` and `takk kafka stop`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

from streams.tools.local.kafka.broker import EmbeddedKafka
from streams.tools.local.kafka.jars import KafkaStartError


def start_detached(data_dir: Path, port: int = 9092) -> str:
    """Start a broker that outlives this process, and return its bootstrap servers. `stop_detached` stops it.

    Raises:
        KafkaStartError: a broker is already running in this directory, the port is in use, or the broker does not start.
        OSError: the directory is not writable.
    """
    pid_file = data_dir / "pid"
    if pid_file.exists() and _is_alive(int(pid_file.read_text())):
        raise KafkaStartError(
            f"a broker is already running in {data_dir} (process {pid_file.read_text()}): stop it with `takk kafka stop`"
        )
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        # Another broker on the port would answer instead of this one, which would end.
        raise KafkaStartError(
            f"port {port} is in use: stop the process that uses it, or choose another port with --port"
        )
    kafka = EmbeddedKafka(data_dir, port)
    bootstrap = kafka.start(detached=True)
    pid_file.write_text(str(kafka.pid))
    return bootstrap


def stop_detached(data_dir: Path, timeout_s: float = 15.0) -> bool:
    """Stop the broker that `start_detached` started in `data_dir`; return whether one was running."""
    pid_file = data_dir / "pid"
    if not pid_file.exists():
        return False
    pid = int(pid_file.read_text())
    pid_file.unlink()
    if not _is_alive(pid):
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while _is_alive(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A child of this process that has ended stays a zombie until it is waited for.
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    return True
