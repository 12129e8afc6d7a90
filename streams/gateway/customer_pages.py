"""The data of customers for the pages: the compacted topic `customer-pages`, in a RocksDB per partition that a thread keeps up to date.

The stores stay on the disk, so that a gateway shows pages at once after a restart, also while Kafka is away. A store that cannot be a prefix
of the topic is read again from the beginning.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from confluent_kafka import KafkaException, TopicPartition

from streams.core.model.customer_page import CustomerPage
from streams.observability import metrics
from streams.runtime.errors import InvalidRecord, RegistryUnavailable, StateError
from streams.runtime.kafka.cluster import Cluster
from streams.runtime.kafka.partitioner import partition_of
from streams.runtime.state.restore import apply, changelog_reader, start_of
from streams.runtime.state.store import Memory, PartitionStore
from streams.wire import topics
from streams.wire.decode.decoder import Decoder

log = structlog.get_logger(__name__)

#: Records of one read, and seconds that it waits for them.
BATCH, READ_WAIT_S = 5_000, 0.2
#: Seconds between two requests for the ends of the topic.
ENDS_INTERVAL_S = 10.0
#: Seconds until the next attempt after an error.
RETRY_PAUSE_S = 5.0
#: Seconds to wait for the thread at the stop. While Kafka is away, one request may take a minute.
STOP_TIMEOUT_S = 5.0


class CustomerPageTable:
    """The pages of all customers. `get` belongs to the event loop, the rest to a thread.

    Args:
        folder: the folder of the stores.
        partitions: the number of partitions of the topic.
        decoder: decodes the records.
        memory: of all stores together.
        prepare: called in the thread with records before they are stored, and an event that is set at the stop.

    Attributes:
        is_ready: whether the records that existed at the start have been read.

    Raises:
        Exception: RocksDB cannot open a store.
    """

    def __init__(
        self,
        folder: Path,
        partitions: int,
        decoder: Decoder,
        memory: Memory,
        prepare: Callable[[Sequence[Any], threading.Event], None] = lambda records, stop: None,
    ) -> None:
        self._stores = [PartitionStore(folder / str(number), memory) for number in range(partitions)]
        self._decoder = decoder
        self._prepare = prepare
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.is_ready = False

    def get(self, customer_id: str) -> CustomerPage | None:
        """Return what pages show of a customer; None: nothing is known (yet)."""
        key = customer_id.encode()
        try:
            value = self._stores[partition_of(key, len(self._stores))].get(key)
            return None if value is None else self._decoder.customer_page(value)
        except InvalidRecord as error:
            log.warning("invalid customer page ignored", reason=error.reason, detail=error.detail)
        except (StateError, RegistryUnavailable) as error:
            log.error("cannot read a customer page", error=error)
        return None

    def start(self, kafka: Mapping[str, Any], group_id: str) -> None:
        """Follow the topic.

        Args:
            kafka: librdkafka settings of the cluster.
            group_id: the consumer group that the broker sees. No offsets are committed under it.
        """
        self._thread = threading.Thread(
            target=self._run, args=(kafka, group_id), name="takk-customer-pages", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop following, and close the stores. It waits for the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)
            if self._thread.is_alive():
                return  # it asks a broker that does not answer; the stores are whole without being closed
        for store in self._stores:
            store.close()

    def estimate(self) -> int:
        """Return about how many customers have a page."""
        return sum(store.estimate() for store in self._stores)

    def _run(self, kafka: Mapping[str, Any], group_id: str) -> None:
        while not self._stop.is_set():
            try:
                consumer = changelog_reader(kafka, group_id)
                try:
                    self._follow(consumer, Cluster(kafka))
                finally:
                    consumer.close()
            except (KafkaException, StateError) as error:
                # The pages stay as they are meanwhile.
                log.error("cannot read customer pages, retrying", error=error, pause_s=RETRY_PAUSE_S)
                self._stop.wait(RETRY_PAUSE_S)

    def _follow(self, consumer: Any, cluster: Cluster) -> None:
        topic = topics.CUSTOMER_PAGES
        stores = {(topic, number): store for number, store in enumerate(self._stores)}
        asked_at, due, bounds = time.time(), time.monotonic() + ENDS_INTERVAL_S, cluster.bounds(list(stores))
        identity = cluster.ids([topic]).of(topic)
        positions = {
            partition: start_of(*partition, store, *bounds[partition], identity, is_accepted=True)
            for partition, store in stores.items()
        }
        consumer.assign([TopicPartition(*partition, position) for partition, position in positions.items()])
        while not self._stop.is_set():
            messages = consumer.consume(BATCH, READ_WAIT_S)
            self._prepare([message for message in messages if message.error() is None], self._stop)
            positions |= apply(messages, stores)[0]
            if any(positions[partition] < end for partition, (_, end) in bounds.items()):
                continue
            self.is_ready = True
            # While Kafka is away nothing is read either, so only an answer of the cluster shows that these are the ends.
            metrics.GATEWAY_PAGES_READ.set(asked_at)
            if time.monotonic() >= due:
                asked_at, due, bounds = time.time(), time.monotonic() + ENDS_INTERVAL_S, cluster.bounds(list(stores))
