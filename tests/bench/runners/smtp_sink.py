"""A fast SMTP server that discards emails: `smtp_sink <journal> [no-pipelining]`.

Prints `PORT <number>`. Writes a line to the journal per accepted email: the recipient, and the Unix time in seconds of the answer.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TextIO, cast

import uvloop

END = b"\r\n.\r\n"


class Session(asyncio.Protocol):
    """One connection. Clients may send commands one by one or pipelined (RFC 2920). The data is searched for its end and discarded."""

    def __init__(self, journal: TextIO, greeting: bytes) -> None:
        self._journal = journal
        self._greeting = greeting
        self._buffer = bytearray()
        self._recipient = ""
        self._is_data = self._is_over = False
        self._searched = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the greeting."""
        self._transport = cast(asyncio.Transport, transport)  # those of uvloop are not its instances
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer all complete commands."""
        self._buffer += data
        answers: list[bytes] = []
        while self._consume(answers):
            pass
        if answers:
            self._transport.write(b"".join(answers))
        if self._is_over:
            self._transport.close()

    def _consume(self, answers: list[bytes]) -> bool:
        """Remove one command or the data from the buffer, and return whether there was one."""
        if self._is_data:
            end = self._buffer.find(END, max(0, self._searched - len(END)))
            if end < 0:
                self._searched = len(self._buffer)
                return False
            del self._buffer[: end + len(END)]
            self._is_data = False
            self._journal.write(f"{self._recipient} {time.time():.6f}\n")
            answers.append(b"250 2.0.0 Ok: queued as 4F1C2A0B9D\r\n")
            return True
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        answers.append(self._answer(line[:4].upper(), line))
        return True

    def _answer(self, verb: bytes, line: bytes) -> bytes:
        if verb == b"EHLO":
            return self._greeting
        if verb == b"RCPT":
            self._recipient = line[line.find(b"<") + 1 : line.find(b">")].decode()
            return b"250 2.1.5 Ok\r\n"
        if verb == b"DATA":
            self._is_data, self._searched = True, 0
            return b"354 End data with <CR><LF>.<CR><LF>\r\n"
        if verb == b"QUIT":
            self._is_over = True
            return b"221 2.0.0 Bye\r\n"
        return b"250 2.1.0 Ok\r\n"


async def serve(journal: Path, *, is_pipelining: bool) -> None:
    """Listen on a free port until the process is stopped."""
    extensions = [
        "sink",
        *(["PIPELINING"] if is_pipelining else []),
        "SIZE 33554432",
        "ENHANCEDSTATUSCODES",
        "8BITMIME",
    ]
    greeting = "".join(
        f"250{' ' if extension == extensions[-1] else '-'}{extension}\r\n" for extension in extensions
    ).encode()
    # The journal is flushed twice per second: a write per email would be the largest cost of the sink.
    with journal.open("w") as file:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Session(file, greeting), "127.0.0.1", 0)
        print(f"PORT {server.sockets[0].getsockname()[1]}", flush=True)
        while True:
            await asyncio.sleep(0.5)
            file.flush()


if __name__ == "__main__":
    # The sink shares the machine with its clients, so it must cost little.
    uvloop.run(serve(Path(sys.argv[1]), is_pipelining="no-pipelining" not in sys.argv[2:]))
