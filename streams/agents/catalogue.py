"""The catalogue and the counts of popularity in memory: a thread follows the two compacted topics, the event loop takes in what it read.

Both are read from the beginning at every start, and nobody is answered before the ends of that moment are reached: so a restart gives
the same answers. What they were read up to (`places`) can be noted beside an answer.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from streams import metrics, topics
from streams.core.assortment import Assortment
from streams.runtime.checkpoint import Broken
from streams.runtime.restore import changelog_reader, ends_of
from streams.wire import Wire
from streams.wire_products import counts_key, parse_counts_key

log = structlog.get_logger(__name__)

#: Records taken in at once: the event loop stands still for no more than a few hundredths of a second.
BATCH = 1_000
#: Seconds that one read waits.
WAIT_S = 0.5
#: Seconds after an error of the broker until it is tried again.
PAUSE_S = 5.0
#: Seconds between two looks at where the topics end.
LOOK_EVERY_S = 10.0
TOPICS = (topics.PRODUCTS, topics.POPULARITY)

#: Topic and partition.
Place = tuple[str, int]


class AssortmentView:
    """An assortment that is what the records say which were taken in. Knows no thread and asks no broker.

    Args:
        wire: what reads the records.
        bounds: the offsets at which each partition begins and ends; there are answers when the ends are reached.
    """

    def __init__(self, wire: Wire, bounds: Mapping[Place, tuple[int, int]]) -> None:
        self.assortment = Assortment()
        #: The next offset of each partition.
        self.places: dict[Place, int] = {place: low for place, (low, _) in bounds.items()}
        self._wire = wire
        self._ends = {place: high for place, (_, high) in bounds.items()}

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
                self._put(message.topic(), message.key(), message.value())
                self.places[place] = message.offset() + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self.places[place] = message.offset()
            elif not error.retriable():
                raise KafkaException(error)
        metrics.CATALOGUE_PRODUCTS.set(len(self.assortment.catalogue))
        metrics.POPULARITY_PRODUCTS.set(len(self.assortment.popularity))

    def _put(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        try:
            if key is None:
                raise Broken("bad_id", "a record without a key")
            text = key.decode()
            if topic == topics.PRODUCTS:
                self._put_product(text, value)
            else:
                self._put_counts(text, value)
        except UnicodeDecodeError:
            self._refuse(topic, "bad_id", "the key is not UTF-8")
        except Broken as broken:
            self._refuse(topic, broken.reason, broken.detail)

    # What cannot be believed takes out what it replaces: after the next compaction a restart would find nothing else.

    def _put_product(self, sku: str, value: bytes | None) -> None:
        catalogue = self.assortment.catalogue
        try:
            product = None if value is None else self._wire.product(value)
            if product is not None and product.sku != sku:
                raise Broken("bad_id", "the key is not the record's sku")
        except Broken:
            catalogue.remove(sku)
            raise
        if product is None:
            catalogue.remove(sku)
        else:
            catalogue.put(product)

    def _put_counts(self, key: str, value: bytes | None) -> None:
        popularity, (sku, partition) = self.assortment.popularity, parse_counts_key(key)
        try:
            counts = None if value is None else self._wire.counts(value)
            if counts is not None and counts_key(counts.sku, counts.partition) != key:
                raise Broken("bad_id", "the key is not the record's sku and partition")
        except Broken:
            popularity.remove(sku, partition)
            raise
        if counts is None:
            popularity.remove(sku, partition)
        else:
            popularity.put(counts)

    def _refuse(self, topic: str, reason: str, detail: str) -> None:
        metrics.CATALOGUE_REFUSED.labels(topic, reason).inc()
        log.warning("a record of the catalogue is not believed", topic=topic, reason=reason, detail=detail)


class CatalogueReader:
    """Keeps an `AssortmentView` up to the two topics.

    Args:
        kafka: librdkafka settings of the cluster.
        wire: what reads the records.
        open_reader: what makes a consumer of such settings; for tests.
    """

    def __init__(
        self,
        kafka: Mapping[str, Any],
        wire: Wire,
        open_reader: Callable[[Mapping[str, Any], str], Any] = changelog_reader,
    ) -> None:
        self._kafka = kafka
        self._wire = wire
        self._open = open_reader
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ready: asyncio.Future[Assortment] | None = None

    def start(self) -> None:
        """Begin to read; to be called in the event loop that asks for the assortment."""
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(loop, self._ready), name="takk-catalogue", daemon=True)
        self._thread.start()

    async def assortment(self) -> Assortment:
        """The assortment, once everything has been read that was there at the start; it changes only between two steps of the loop."""
        if self._ready is None:
            raise RuntimeError("the catalogue is asked for before start()")
        return await asyncio.shield(self._ready)

    async def stop(self) -> None:
        """Stop reading; the assortment stays as it is."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[Assortment]) -> None:
        view: AssortmentView | None = None
        while not self._stop.is_set():
            try:
                consumer = self._open(self._kafka, "catalogue")
                try:
                    if view is None:
                        view = AssortmentView(self._wire, _bounds(consumer, _places(consumer)))
                    self._follow(consumer, view, loop, ready)
                finally:
                    consumer.close()
            except KafkaException as error:
                # What was read stays in use; `takk_catalogue_read_timestamp_seconds` shows that it stands still.
                log.error("the catalogue cannot be read, trying again", error=repr(error), pause_s=PAUSE_S)
                self._stop.wait(PAUSE_S)

    def _follow(
        self, consumer: Any, view: AssortmentView, loop: asyncio.AbstractEventLoop, ready: asyncio.Future[Assortment]
    ) -> None:
        async def take(messages: list[Any], ends: Mapping[Place, int]) -> None:
            view.take(messages)
            if view.is_at(ends):
                metrics.CATALOGUE_READ.set_to_current_time()
            if view.is_ready and not ready.done():
                ready.set_result(view.assortment)

        consumer.assign([TopicPartition(topic, number, at) for (topic, number), at in view.places.items()])
        ends, looked = _ends(consumer, view.places), time.monotonic()
        while not self._stop.is_set():
            if time.monotonic() - looked >= LOOK_EVERY_S:
                ends, looked = _ends(consumer, view.places), time.monotonic()
            # The loop is the only one that touches the assortment: an answer is never of two states.
            asyncio.run_coroutine_threadsafe(take(consumer.consume(BATCH, WAIT_S), ends), loop).result()


def _places(consumer: Any) -> list[Place]:
    known = consumer.list_topics(timeout=30.0).topics
    missing = [topic for topic in TOPICS if topic not in known]
    if missing:
        raise KafkaException(
            KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"no topic {', '.join(missing)}: `takk topics create`")
        )
    return [(topic, number) for topic in TOPICS for number in known[topic].partitions]


def _bounds(consumer: Any, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
    return {place: ends_of(consumer, *place) for place in places}


def _ends(consumer: Any, places: Iterable[Place]) -> dict[Place, int]:
    return {place: high for place, (_, high) in _bounds(consumer, places).items()}
