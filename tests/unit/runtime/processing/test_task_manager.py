"""The lanes' reader: never closed under a read."""

from __future__ import annotations

import threading
from typing import Any

from streams.runtime.processing.task_manager import TaskManager
from tests.harness.kafka_fakes import stage


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
    task_manager, reader = TaskManager("app", {}), Reader()
    task_manager.fetcher._reader = reader
    reading = threading.Thread(target=task_manager.fetcher.read, args=(0.02,))
    reading.start()
    assert reader.is_asked.wait(10)
    closing = threading.Thread(target=task_manager.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive()
    reader.let_go.set()
    reading.join(10)
    closing.join(10)
    assert reader.happened == ["read", "closed"]
    assert task_manager.fetcher.read(0.02) == []


def test_what_a_stored_assignment_lacks() -> None:
    """An input of a stage that is missing beside its others, and a stage that was given nothing; not who was given nothing at all."""
    task_manager = TaskManager("app", {"bootstrap.servers": "127.0.0.1:1"})
    task_manager.add(stage(name="one", topics=("a", "b")))
    task_manager.add(stage(name="two", topics=("c",)))
    whole = {("a", 1), ("b", 1), ("c", 2), ("of another", 1)}
    assert task_manager.missing_topics(set()) == task_manager.missing_topics(whole) == []
    assert task_manager.missing_topics(whole - {("b", 1)}) == ["b"]
    assert task_manager.missing_topics(whole - {("c", 2)}) == ["c"]


def test_an_input_that_an_older_worker_does_not_read() -> None:
    """It is dealt out apart: the partitions that the older worker has of the stage's first topic stay its own."""
    task_manager = TaskManager("app", {"bootstrap.servers": "127.0.0.1:1"})
    task_manager.add(stage(name="one", topics=("a", "b")))
    assert task_manager.owned({("a", 1), ("b", 1), ("b", 2)}) == {("one", 1)}
    assert task_manager.missing_topics({("a", 1), ("b", 1), ("b", 2)}) == []
