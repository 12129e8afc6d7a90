"""Global tables: compacted topics that a process reads completely into memory. A thread reads them; the event loop applies the records.

Each start reads them from the beginning, and no view is available before it has reached the ends that the topics had then. A restart
therefore gives the same answers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams.runtime.state.restore import changelog_reader, watermarks

log = structlog.get_logger(__name__)

#: The number of messages that are applied at once. They block the event loop for no more than a few hundredths of a second.
BATCH = 1_000
#: Seconds that one read waits for a full batch. A single record is delayed by at most as much.
READ_WAIT_S = 0.1
#: Seconds until the next attempt after an error of the broker.
RETRY_PAUSE_S = 1.0
#: Seconds between two requests for the ends of the topics.
ENDS_INTERVAL_S = 10.0
#: Seconds that the request for the topics' partitions may take.
METADATA_TIMEOUT_S = 30.0

#: Topic and partition.
Partition = tuple[str, int]


class TableView:
    """The content of the records applied so far. Base class; it knows neither threads nor Kafka clients.

    Args:
        bounds: (topic, partition) -> the first offset and the offset after the last, at the start.

    Attributes:
        positions: the next offset of each partition.
    """

    def __init__(self, bounds: Mapping[Partition, tuple[int, int]]) -> None:
        self.positions: dict[Partition, int] = {partition: low for partition, (low, _) in bounds.items()}
        self._ends = {partition: high for partition, (_, high) in bounds.items()}

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Apply one record. Subclasses decide what an invalid record does."""
        raise NotImplementedError

    def on_caught_up(self) -> None:
        """Called when the current ends of all partitions are reached."""

    @property
    def is_ready(self) -> bool:
        """Whether all records that existed at the start are applied."""
        return self.has_reached(self._ends)

    def has_reached(self, ends: Mapping[Partition, int]) -> bool:
        """Return whether every partition is applied up to its offset in `ends`."""
        return all(self.positions[partition] >= end for partition, end in ends.items())

    def apply(self, messages: Iterable[Any]) -> None:
        """Apply records and end-of-partition events, each partition's in the order of its offsets.

        Raises:
            KafkaException: a message is an error that is not retriable.
        """
        for message in messages:
            partition, error = (message.topic(), message.partition()), message.error()
            if error is None:
                self.put(message.topic(), message.key(), message.value())
                self.positions[partition] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self.positions[partition] = message.offset()
            elif not error.retriable():
                raise KafkaException(error)


V = TypeVar("V", bound=TableView)


class GlobalTable(Generic[V]):
    """Keeps a view up to date with its topics, from the first call of `view` on.

    Args:
        kafka: librdkafka settings of the cluster.
        topics: the names of the topics.
        make_view: return the view, from the bounds of its partitions.
        open_reader: return a consumer, from settings and a group id; tests replace it.
        prepare: called in the reading thread with records before they are applied, and an event that is set at the stop.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        topics: Sequence[str],
        make_view: Callable[[Mapping[Partition, tuple[int, int]]], V],
        open_reader: Callable[[Mapping[str, Any], str], Any] = changelog_reader,
        prepare: Callable[[Sequence[Any], threading.Event], None] = lambda records, stop: None,
    ) -> None:
        self._kafka = kafka
        self._topics = topics
        self._make_view = make_view
        self._open_reader = open_reader
        self._prepare = prepare
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ready: asyncio.Future[V] | None = None

    async def view(self) -> V:
        """Return the view once it is ready. It changes only while the caller awaits something.

        Raises:
            Exception: the error of the record that could not be applied; the view no longer changes since then.
        """
        if self._ready is None:
            loop = asyncio.get_running_loop()
            self._ready = loop.create_future()
            name = f"takk-{self._topics[0]}"
            self._thread = threading.Thread(target=self._run, args=(loop, self._ready), name=name, daemon=True)
            self._thread.start()
        return await asyncio.shield(self._ready)

    async def stop(self, timeout_s: float | None = None) -> None:
        """Stop reading, and wait for the thread, at most `timeout_s` seconds. The view stays as it is."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, timeout_s)

    def _run(self, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[V]) -> None:
        view: V | None = None
        while not self._stop.is_set():
            try:
                consumer = self._open_reader(self._kafka, self._topics[0])
                try:
                    if view is None:
                        view = self._make_view(_bounds(consumer, self._partitions(consumer)))
                    self._follow(consumer, view, loop, ready)
                finally:
                    consumer.close()
            except KafkaException as error:
                # The view stays in use meanwhile.
                log.error("cannot read topics, retrying", topics=self._topics, error=error, pause_s=RETRY_PAUSE_S)
                self._stop.wait(RETRY_PAUSE_S)
            except Exception as error:
                # Later callers must not get a view that no longer changes.
                log.error("failed to apply records", topics=self._topics, exc_info=error)
                loop.call_soon_threadsafe(self._fail, ready, error)
                return

    def _fail(self, ready: asyncio.Future[V], error: Exception) -> None:
        if ready.done():
            ready = self._ready = asyncio.get_running_loop().create_future()
        ready.set_exception(error)

    def _follow(self, consumer: Any, view: V, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[V]) -> None:
        async def apply(messages: list[Any], ends: Mapping[Partition, int]) -> None:
            view.apply(messages)
            if view.has_reached(ends):
                view.on_caught_up()
            if view.is_ready and not ready.done():
                ready.set_result(view)

        consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in view.positions.items()])
        ends, ends_at = _ends(consumer, view.positions), time.monotonic()
        while not self._stop.is_set():
            messages, is_time = consumer.consume(BATCH, READ_WAIT_S), time.monotonic() - ends_at >= ENDS_INTERVAL_S
            if is_time:
                ends, ends_at = _ends(consumer, view.positions), time.monotonic()
            self._prepare([message for message in messages if message.error() is None], self._stop)
            if messages or is_time:
                # Only the event loop changes the view, so that no caller sees a view that is half updated.
                asyncio.run_coroutine_threadsafe(apply(messages, ends), loop).result()

    def _partitions(self, consumer: Any) -> list[Partition]:
        existing = consumer.list_topics(timeout=METADATA_TIMEOUT_S).topics
        missing = [topic for topic in self._topics if topic not in existing]
        if missing:
            raise KafkaException(
                KafkaError(
                    KafkaError.UNKNOWN_TOPIC_OR_PART, f"missing topics: {', '.join(missing)} (run `takk topics create`)"
                )
            )
        return [(topic, number) for topic in self._topics for number in existing[topic].partitions]


def _bounds(consumer: Any, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
    return {partition: watermarks(consumer, *partition) for partition in partitions}


def _ends(consumer: Any, partitions: Iterable[Partition]) -> dict[Partition, int]:
    return {partition: high for partition, (_, high) in _bounds(consumer, partitions).items()}
