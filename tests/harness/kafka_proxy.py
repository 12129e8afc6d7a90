"""A TCP proxy in front of a broker that can edit single answers, and that can be away like a broker.

Clients that start with the proxy's address stay with it: the addresses in the broker's answers are replaced.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from streams.tools.local.kafka.ports import free_port

HOST = "127.0.0.1"


class Api(IntEnum):
    """Keys of APIs in the Kafka protocol: those that tests edit, and those whose answers contain addresses of brokers."""

    METADATA = 3
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    DESCRIBE_CLUSTER = 60


WITH_ADDRESSES = frozenset({Api.METADATA, Api.FIND_COORDINATOR, Api.DESCRIBE_CLUSTER})
#: The first version of these APIs whose answers have tagged fields (KIP-482), and the first with a throttle time before the error code.
FLEXIBLE = {Api.JOIN_GROUP: 6, Api.HEARTBEAT: 4}
THROTTLED = {Api.JOIN_GROUP: 2, Api.HEARTBEAT: 1}


@dataclass(frozen=True)
class Answer:
    """An answer of the broker.

    Attributes:
        api: the API key of its request.
        version: the version of the request.
        body: the answer after its correlation id.
    """

    api: int
    version: int
    body: bytes

    def with_error(self, code: int) -> bytes:
        """Return the body with another error code."""
        api = Api(self.api)
        at = (1 if self.version >= FLEXIBLE[api] else 0) + (4 if self.version >= THROTTLED[api] else 0)
        return self.body[:at] + struct.pack(">h", code) + self.body[at + 2 :]


class KafkaProxy:
    """A proxy in front of one broker on this machine.

    Args:
        port: the port of the broker.
    """

    def __init__(self, port: int) -> None:
        self._broker = port
        self.port = free_port()
        self.bootstrap = f"{HOST}:{self.port}"
        #: Called with each answer; returns its body, edited or not.
        self.edit: Callable[[Answer], bytes] = lambda answer: answer.body
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()

    def fail_next(self, api: Api, code: int) -> threading.Event:
        """Give the next answer of an API another error code. Return an event that is set once that is done."""
        done = threading.Event()

        def edit(answer: Answer) -> bytes:
            if answer.api != api or done.is_set():
                return answer.body
            done.set()
            return answer.with_error(code)

        self.edit = edit
        return done

    def start(self) -> None:
        """Accept connections."""
        listener = self._listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Close all connections, and refuse new ones, like a broker that has ended."""
        if self._listener is not None:
            # The thread in `accept` would keep the port otherwise, also after the socket is closed.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in list(self._connections):
            _close(connection)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client, _ = listener.accept()
                try:
                    broker = socket.create_connection((HOST, self._broker))
                except OSError:
                    client.close()
                    continue
                self._connections |= {client, broker}
                if self._listener is not listener:  # the proxy was stopped meanwhile
                    self._close_both(client, broker)
                    continue
                requests: dict[int, tuple[int, int]] = {}
                for target, ends in ((self._pass_requests, (client, broker)), (self._pass_answers, (broker, client))):
                    threading.Thread(target=target, args=(*ends, requests), daemon=True).start()

    def _pass_requests(
        self, client: socket.socket, broker: socket.socket, requests: dict[int, tuple[int, int]]
    ) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                frame = _read_frame(client)
                api, version, correlation = struct.unpack(">hhi", frame[:8])
                requests[correlation] = api, version
                broker.sendall(struct.pack(">i", len(frame)) + frame)
        self._close_both(client, broker)

    def _pass_answers(self, broker: socket.socket, client: socket.socket, requests: dict[int, tuple[int, int]]) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                frame = _read_frame(broker)
                api, version = requests.pop(struct.unpack(">i", frame[:4])[0])
                body = self.edit(Answer(api, version, frame[4:]))
                if api in WITH_ADDRESSES:
                    before, after = (HOST.encode() + struct.pack(">i", port) for port in (self._broker, self.port))
                    body = body.replace(before, after)
                client.sendall(struct.pack(">i", 4 + len(body)) + frame[:4] + body)
        self._close_both(broker, client)

    def _close_both(self, *ends: socket.socket) -> None:
        for end in ends:
            _close(end)
            self._connections.discard(end)

    def __enter__(self) -> KafkaProxy:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def _read_frame(end: socket.socket) -> bytes:
    (size,) = struct.unpack(">i", _read(end, 4))
    return _read(end, size)


def _read(end: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = end.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
