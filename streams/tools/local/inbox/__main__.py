"""Run the inbox as a process of its own: `python -m streams.tools.local.inbox`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from streams.tools.local.inbox.server import Inbox, InboxStartError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the inbox as a process until SIGTERM, SIGINT or, with --until-eof, the end of stdin."""
    parser = argparse.ArgumentParser(
        prog="python -m streams.tools.local.inbox", description="A local SMTP inbox with a web page."
    )
    parser.add_argument("--smtp-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--web-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--journal", type=Path, help="append a line for each mail accepted")
    parser.add_argument(
        "--until-eof", action="store_true", help="end when stdin ends, so with the parent that holds it"
    )
    options = parser.parse_args(arguments)
    inbox = Inbox(options.journal, options.smtp_port, options.web_port)
    try:
        inbox.start()
    except InboxStartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    if options.until_eof:
        threading.Thread(target=_await_eof, args=(over,), daemon=True).start()
    ports = {"smtp_port": inbox.smtp_port, "web_port": inbox.web_port, "pid": os.getpid()}
    sys.stdout.buffer.write(msgspec.json.encode(ports) + b"\n")
    sys.stdout.buffer.flush()
    over.wait()
    inbox.stop()
    return 0


def _await_eof(over: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    over.set()


if __name__ == "__main__":
    sys.exit(main())
