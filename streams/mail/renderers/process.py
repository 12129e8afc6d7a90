"""One renderer process as the mailer sees it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

from streams.mail.renderers.emails import Email
from streams.mail.renderers.messages import LENGTH, Result, decode_results, framed, joined_jobs
from streams.runtime import failpoints

#: Bytes that are read at once. A longer message takes several reads, and a buffer that grows.
BUFFER_BYTES = 256 * 1024
#: Starts a renderer with one end of a connection, a file descriptor.
Start: TypeAlias = Callable[[int], "subprocess.Popen[bytes]"]


def start_child(descriptor: int, module: str = "streams.mail.renderers.child") -> subprocess.Popen[bytes]:
    """Start a renderer process. Only for the main thread: a renderer ends with the thread that started it."""
    arguments = [sys.executable, "-m", module, str(descriptor), str(os.getpid())]
    # A failpoint of the mailer does not concern its renderers.
    environment = {name: value for name, value in os.environ.items() if name != failpoints.VARIABLE}
    return subprocess.Popen(  # noqa: S603 - this program itself
        arguments, pass_fds=(descriptor,), stdin=subprocess.DEVNULL, env=environment
    )


class Work:
    """An email that a renderer is to compose.

    Attributes:
        number: its number, unique in this process.
        send_id: its send id.
        body: the encoded job.
        email: the result.
        crashes: how often a renderer ended while it composed this email and no other.
        is_suspect: whether a renderer ended while it had this email.
    """

    __slots__ = ("body", "crashes", "email", "is_suspect", "number", "send_id")

    def __init__(self, number: int, send_id: str, body: bytes) -> None:
        self.number = number
        self.send_id = send_id
        self.body = body
        self.email: asyncio.Future[Email] = asyncio.get_running_loop().create_future()
        self.crashes = 0
        self.is_suspect = False


class RendererProcess(asyncio.BufferedProtocol):
    """A renderer process, with the emails that it has not returned yet.

    Args:
        on_results: called with results; with none when the process is ready.
        on_ended: called once, when the connection has ended.

    Attributes:
        in_flight: the emails that it was given and has not returned, by number, in order.
        is_ready: whether it takes emails.
        is_killed: whether it was ended because it was silent.
        progress_at: when it last returned something, or was given something while it had nothing: seconds on the event loop's clock.
    """

    def __init__(
        self,
        on_results: Callable[[RendererProcess, Sequence[Result]], None],
        on_ended: Callable[[RendererProcess], None],
    ) -> None:
        self._on_results = on_results
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(BUFFER_BYTES)
        #: The bytes in the buffer: the beginning of a message.
        self._size = 0
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.in_flight: dict[int, Work] = {}
        self.is_ready = self.is_killed = False
        self.progress_at = self._loop.time()

    async def start(self, setup: bytes, start: Start) -> None:
        """Start the process.

        Raises:
            OSError: there are too few descriptors, processes or memory.
        """
        own, other = socket.socketpair()
        try:
            with other:
                self._process = start(other.fileno())
            own.setblocking(False)
            await self._loop.create_unix_connection(lambda: self, sock=own)
        except BaseException:
            own.close()
            raise
        if self._transport is not None:
            self._transport.write(framed(setup))

    @property
    def pid(self) -> int | None:
        """The id of the process."""
        return None if self._process is None else self._process.pid

    @property
    def is_expected(self) -> bool:
        """Whether the process must return something."""
        return bool(self.in_flight) or not self.is_ready

    def give(self, works: Sequence[Work]) -> None:
        """Give emails to the process."""
        if not self.in_flight:
            self.progress_at = self._loop.time()
        self.in_flight |= {work.number: work for work in works}
        if self._transport is not None:
            self._transport.write(joined_jobs(work.body for work in works))

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()

    def disconnect(self) -> None:
        """Close the connection: the process ends after its present email."""
        if self._transport is not None:
            self._transport.close()

    async def ended(self, timeout_s: float) -> int | None:
        """Wait until the process has ended, and return its exit code. Kill it after a while, for example because its email never ends."""
        process = self._process
        if process is None:
            return None
        try:
            return await asyncio.to_thread(process.wait, timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return await asyncio.to_thread(process.wait)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection."""
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go: after those of the message that is not complete."""
        if self._size > len(self._buffer) // 2:
            self._buffer += bytes(len(self._buffer))
        return memoryview(self._buffer)[self._size :]

    def buffer_updated(self, count: int) -> None:
        """Pass on the results of the messages that are complete, `count` bytes later."""
        self.progress_at = self._loop.time()
        self._size += count
        start = 0
        with memoryview(self._buffer)[: self._size] as view:
            while len(view) - start >= LENGTH.size:
                end = start + LENGTH.size + LENGTH.unpack_from(view, start)[0]
                if end > len(view):
                    break
                results = decode_results(view[start + LENGTH.size : end])
                start = end
                self._on_results(self, results)
            self._size -= start
            if start and self._size:
                self._buffer[: self._size] = view[start:]

    def connection_lost(self, error: Exception | None) -> None:
        """End: the process has ended, or cannot be used any more."""
        self.kill()
        self._transport = None
        self._on_ended(self)
