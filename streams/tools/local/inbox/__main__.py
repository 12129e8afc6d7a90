"""Runs the inbox in its own process: `python -m streams.tools.local.inbox`."""

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
    """Run the inbox until SIGTERM, SIGINT or, with --until-eof, the end of stdin; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m streams.tools.local.inbox", description="A local SMTP inbox with a web page."
    )
    parser.add_argument("--smtp-port", type=int, default=0, help="0 selects a free one")
    parser.add_argument("--web-port", type=int, default=0, help="0 selects a free one")
    parser.add_argument("--journal", type=Path, help="append a line for each accepted email")
    parser.add_argument("--until-eof", action="store_true", help="stop when stdin ends, so when the parent ends")
    options = parser.parse_args(arguments)
    inbox = Inbox(options.journal, options.smtp_port, options.web_port)
    try:
        inbox.start()
    except InboxStartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    is_over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_over.set())
    if options.until_eof:
        threading.Thread(target=_await_eof, args=(is_over,), daemon=True).start()
    ports = {"smtp_port": inbox.smtp_port, "web_port": inbox.web_port, "pid": os.getpid()}
    sys.stdout.buffer.write(msgspec.json.encode(ports) + b"\n")
    sys.stdout.buffer.flush()
    is_over.wait()
    inbox.stop()
    return 0


def _await_eof(is_over: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    is_over.set()


if __name__ == "__main__":
    sys.exit(main())
