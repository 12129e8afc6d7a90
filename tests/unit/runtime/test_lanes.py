"""The lanes' reader: never closed under a read."""

from __future__ import annotations

import threading
from typing import Any

from streams.runtime.lanes import Lanes


class Reader:
    """A consumer whose read lasts until it is let go; it notes what happened in which order."""

    def __init__(self) -> None:
        self.is_asked = threading.Event()
        self.let_go = threading.Event()
        self.happened: list[str] = []

    def consume(self, count: int, wait_s: float) -> list[Any]:
        self.is_asked.set()
        assert self.let_go.wait(10)
        self.happened.append("read")
        return []

    def close(self) -> None:
        self.happened.append("closed")


def test_the_reader_is_closed_after_its_last_read() -> None:
    """librdkafka never comes back from a read of a consumer that was closed meanwhile: the process could not end."""
    lanes, reader = Lanes("app", {}), Reader()
    lanes._reader = reader
    reading = threading.Thread(target=lanes.read, args=(0.02,))
    reading.start()
    assert reader.is_asked.wait(10)
    closing = threading.Thread(target=lanes.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    reader.let_go.set()
    reading.join(10)
    closing.join(10)
    assert reader.happened == ["read", "closed"]
    assert lanes.read(0.02) == []
