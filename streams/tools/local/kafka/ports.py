"""Free TCP ports, each reserved for one process."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import secrets
import socket
from dataclasses import dataclass
from typing import IO

from streams.tools.local.kafka.jars import cache_dir

#: The ports of `free_port`, below those that the system assigns to clients. A client could otherwise take the port of a broker that
#: is down for a while; a client that connects to that very port even connects to itself.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Return a TCP port that is not in use, and reserve it.

    No other call of this user returns the port while this process lives, so that a broker that was stopped finds its port free.
    """
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if _claim(port):
                return port


def _claim(port: int) -> bool:
    """Reserve `port` for this process; return False if another call has reserved it."""
    claims = _claims()
    if port in claims.ports:
        return False
    try:  # one byte per port; the lock ends with the process
        fcntl.lockf(claims.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    claims.ports.add(port)
    return True


@dataclass(frozen=True)
class _Claims:
    """The reserved ports of this process, and the file in which every process locks its ports."""

    file: IO[bytes]
    ports: set[int]


@functools.cache
def _claims() -> _Claims:
    cache_dir().mkdir(parents=True, exist_ok=True)
    # The file stays open: closing it would release all ports.
    return _Claims((cache_dir() / "ports.lock").open("ab"), set())
