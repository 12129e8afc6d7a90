"""Free TCP ports, each given to one process only."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import secrets
import socket
from dataclasses import dataclass
from typing import IO

from streams.tools.local.kafka.jars import cache_dir

#: Where `free_port` looks: below the ports that the system gives to clients. A broker that is dead for a while would lose one of those to
#: any client, even to one that calls the dead broker until it is answered by itself.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A TCP port that nobody listens on at this moment, that no client is given by chance, and that is given once only: to no other caller
    of this user for as long as this process lives, so that a broker that is dead for a while finds its own again."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if _claim(port):
                return port


def _claim(port: int) -> bool:
    """Whether nobody had `port` before; it is then this process's until it ends."""
    claims = _claims()
    if port in claims.ours:
        return False
    try:  # a byte for a port, free again when its process is gone
        fcntl.lockf(claims.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    claims.ours.add(port)
    return True


@dataclass(frozen=True)
class _Claims:
    """The ports of this process, and the file in which every process locks its own."""

    file: IO[bytes]
    ours: set[int]


@functools.cache
def _claims() -> _Claims:
    cache_dir().mkdir(parents=True, exist_ok=True)
    # Open for good: to close it would give all ports back.
    return _Claims((cache_dir() / "ports.lock").open("ab"), set())
