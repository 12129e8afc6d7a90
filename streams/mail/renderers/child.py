"""A renderer process: `python -m streams.mail.renderers.child <descriptor> <process id of the mailer>`.

It reads jobs from a socket and writes their results. It ends with the mailer, and knows neither Kafka nor the mail server.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import socket
import sys
import time
from contextlib import suppress
from io import IOBase
from pathlib import Path

from streams.mail.renderers.emails import Email, EmailWriter
from streams.mail.renderers.messages import LENGTH, Job, Result, Setup, decode_jobs, encode_results
from streams.mail.rendering.renderer import Renderer
from streams.runtime.collector import tune_collector

#: Results are sent once they have this many bytes, or are this many seconds old: a few system calls for many emails.
FLUSH_BYTES, FLUSH_S = 96 * 1024, 0.01
_BUFFER_BYTES = 256 * 1024
#: prctl(2): the signal that this process gets when the thread that started it ends.
_PR_SET_PDEATHSIG = 1
#: The kernel ends a renderer before the mailer if memory is short: a renderer has no state. From -1000 to 1000.
_OOM_SCORE = "500"


def main(descriptor: int, mailer: int, writer_class: type[EmailWriter] = EmailWriter) -> None:
    """Serve the mailer until it closes the connection.

    Args:
        descriptor: the file descriptor of the connection.
        mailer: the process id of the mailer.
        writer_class: renders and composes.
    """
    _end_with(mailer)
    # A terminal and a supervisor send these to the whole process group. The mailer still needs its emails then, and closes the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
    with socket.socket(fileno=descriptor) as link, link.makefile("rb", buffering=_BUFFER_BYTES) as stream:
        message = _read(stream)
        if message is None:
            return
        setup: Setup = pickle.loads(message)  # noqa: S301 - from the mailer that started this process
        writer = writer_class(Renderer(setup.templates_dir, setup.brand), setup.sender)
        tune_collector()
        with suppress(BrokenPipeError, ConnectionResetError):  # the mailer has ended
            link.sendall(encode_results([]))
            while (message := _read(stream)) is not None:
                _serve(link, writer, decode_jobs(message))


def _end_with(mailer: int) -> None:
    """End this process when the mailer ends, also while it renders. Elsewhere than on Linux it ends when it next reads or writes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != mailer:  # the mailer ended before the call
        sys.exit(0)


def _read(stream: IOBase) -> bytes | None:
    """Return the next message, or None at the end."""
    head: bytes = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None


def _serve(link: socket.socket, writer: EmailWriter, jobs: list[Job]) -> None:
    """Send the results of some jobs."""
    results: list[Result] = []
    size, since = 0, time.monotonic()
    for job in jobs:
        email = compose(writer, job)
        results.append((job.number, email))
        size += len(email.data)
        if size >= FLUSH_BYTES or time.monotonic() - since >= FLUSH_S:
            link.sendall(encode_results(results))
            results, size, since = [], 0, time.monotonic()
    if results:
        link.sendall(encode_results(results))


def compose(writer: EmailWriter, job: Job) -> Email:
    """Return the email of a job. Whatever fails concerns this email alone."""
    try:
        return writer.write(job.command, job.now)
    except Exception as error:  # noqa: BLE001 - not swallowed: the mailer logs and reports it
        return Email(b"", "failed", type(error).__name__)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
