"""Topics that every worker reads whole, in memory: a thread follows them, the event loop takes in what it read.

They are read from the beginning at every start, and nobody is answered before the ends of that moment are reached: so a restart gives
the same answers. What they were read up to (`places`) can be noted beside an answer.
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

#: Records taken in at once: the event loop stands still for no more than a few hundredths of a second.
BATCH = 1_000
#: Seconds that one read waits for a full batch: so late, at most, is what lies alone.
WAIT_S = 0.1
#: Seconds after an error of the broker until it is tried again.
PAUSE_S = 1.0
#: Seconds between two looks at where the topics end.
LOOK_EVERY_S = 10.0

#: Topic and partition.
Place = tuple[str, int]


class TableView:
    """What the records say that were taken in. Knows no thread and asks no broker; to be subclassed.

    Args:
        bounds: the offsets at which each partition begins and ends; there are answers when the ends are reached.
    """

    def __init__(self, bounds: Mapping[Place, tuple[int, int]]) -> None:
        #: The next offset of each partition.
        self.places: dict[Place, int] = {place: low for place, (low, _) in bounds.items()}
        self._ends = {place: high for place, (_, high) in bounds.items()}

    def put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Take in one record; what cannot be believed is for the subclass to refuse."""
        raise NotImplementedError

    def caught_up(self) -> None:
        """The ends were reached, as of the last look."""

    @property
    def is_ready(self) -> bool:
        """Whether everything has been read that was there at the start."""
        return self.is_at(self._ends)

    def is_at(self, ends: Mapping[Place, int]) -> bool:
        """Whether the partitions have been read up to `ends`."""
        return all(self.places[place] >= end for place, end in ends.items())

    def take(self, messages: Iterable[Any]) -> None:
        """Take in records and end-of-partition notices, in the order of their offsets within each partition.

        Raises:
            KafkaException: a message is an error that will not pass by itself.
        """
        for message in messages:
            place, error = (message.topic(), message.partition()), message.error()
            if error is None:
                self.put(message.topic(), message.key(), message.value())
                self.places[place] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self.places[place] = message.offset()
            elif not error.retriable():
                raise KafkaException(error)


V = TypeVar("V", bound=TableView)


class GlobalTable(Generic[V]):
    """Keeps a view up to its topics, from when it is first asked for.

    Args:
        kafka: librdkafka settings of the cluster.
        topics: their names.
        make: what makes the view from the bounds of its partitions.
        open_reader: what makes a consumer of settings and a name; for tests.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        topics: Sequence[str],
        make: Callable[[Mapping[Place, tuple[int, int]]], V],
        open_reader: Callable[[Mapping[str, Any], str], Any] = changelog_reader,
    ) -> None:
        self._kafka = kafka
        self._topics = topics
        self._make = make
        self._open = open_reader
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ready: asyncio.Future[V] | None = None

    async def view(self) -> V:
        """The view, once everything has been read that was there at the start; it changes only between two steps of the loop.

        Raises:
            Exception: what a record did to the view; it stands still since.
        """
        if self._ready is None:
            loop = asyncio.get_running_loop()
            self._ready = loop.create_future()
            name = f"takk-{self._topics[0]}"
            self._thread = threading.Thread(target=self._run, args=(loop, self._ready), name=name, daemon=True)
            self._thread.start()
        return await asyncio.shield(self._ready)

    async def stop(self) -> None:
        """Stop reading; the view stays as it is."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[V]) -> None:
        view: V | None = None
        while not self._stop.is_set():
            try:
                consumer = self._open(self._kafka, self._topics[0])
                try:
                    if view is None:
                        view = self._make(_bounds(consumer, self._places(consumer)))
                    self._follow(consumer, view, loop, ready)
                finally:
                    consumer.close()
            except KafkaException as error:
                # What was read stays in use meanwhile.
                log.error(
                    "topics cannot be read, trying again", topics=self._topics, error=repr(error), pause_s=PAUSE_S
                )
                self._stop.wait(PAUSE_S)
            except Exception as error:
                # Whoever asks from now on must not be answered from a view that stands still for ever.
                log.error("topics cannot be taken in", topics=self._topics, exc_info=error)
                loop.call_soon_threadsafe(self._fail, ready, error)
                return

    def _fail(self, ready: asyncio.Future[V], error: Exception) -> None:
        if ready.done():
            ready = self._ready = asyncio.get_running_loop().create_future()
        ready.set_exception(error)

    def _follow(self, consumer: Any, view: V, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[V]) -> None:
        async def take(messages: list[Any], ends: Mapping[Place, int]) -> None:
            view.take(messages)
            if view.is_at(ends):
                view.caught_up()
            if view.is_ready and not ready.done():
                ready.set_result(view)

        consumer.assign([TopicPartition(topic, number, at) for (topic, number), at in view.places.items()])
        ends, looked = _ends(consumer, view.places), time.monotonic()
        while not self._stop.is_set():
            messages, is_time = consumer.consume(BATCH, WAIT_S), time.monotonic() - looked >= LOOK_EVERY_S
            if is_time:
                ends, looked = _ends(consumer, view.places), time.monotonic()
            if messages or is_time:
                # The loop is the only one that touches the view: an answer is never of two states.
                asyncio.run_coroutine_threadsafe(take(messages, ends), loop).result()

    def _places(self, consumer: Any) -> list[Place]:
        known = consumer.list_topics(timeout=30.0).topics
        missing = [topic for topic in self._topics if topic not in known]
        if missing:
            raise KafkaException(
                KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"no topic {', '.join(missing)}: `takk topics create`")
            )
        return [(topic, number) for topic in self._topics for number in known[topic].partitions]


def _bounds(consumer: Any, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
    return {place: watermarks(consumer, *place) for place in places}


def _ends(consumer: Any, places: Iterable[Place]) -> dict[Place, int]:
    return {place: high for place, (_, high) in _bounds(consumer, places).items()}
