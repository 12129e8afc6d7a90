"""The transaction of a batch, as its producer sees it: the outputs, one changelog record per changed key, and the source offsets."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException, TopicPartition

from streams.runtime import failpoints
from streams.runtime.kafka.producer_record import Headers
from streams.runtime.processing.commit import flush, retry_commit
from streams.runtime.state.offsets import HEADER

if TYPE_CHECKING:
    from streams.runtime.processing.task import Task

#: Seconds that the abort of a transaction may take.
ABORT_TIMEOUT_S = 10.0
#: Stands for the bytes of a changed value that the commit still has to encode.
NOT_ENCODED: Any = object()
#: The partition of a record whose partition librdkafka selects by the key (RD_KAFKA_PARTITION_UA).
ANY_PARTITION = -1


class Transaction:
    """The records that one batch produces. The transaction begins with the first record, so a batch without output costs none.

    The methods that wait for the broker (`produce_held`, `flush`, `commit`, `abort`) are for a thread.

    Args:
        task: the batch's task.
    """

    def __init__(self, task: Task[Any]) -> None:
        self._task = task
        self._producer = task.producer
        self._produce: Callable[..., None] = task.producer.produce
        self.is_open = False
        #: Topic -> the number of records sent to it.
        self.sent: Counter[str] = Counter()
        #: Topic, value, key, partition and further arguments of the records that the commit is to produce first.
        self._held: list[tuple[str, bytes | None, bytes, int, dict[str, Any]]] = []
        #: Outputs that only the last commit of the batch publishes.
        self._last_outputs: list[tuple[Any, ...]] = []
        self._is_last = False

    def begin(self) -> None:
        """Begin the transaction unless it has begun."""
        if not self.is_open:
            self.is_open = True
            self._producer.begin_transaction()

    def send(self, topic: str, key: bytes, value: bytes | None, headers: Headers | None = None) -> None:
        """Publish a record with the commit."""
        if self._is_last:
            self._last_outputs.append((topic, key, value, headers))
            return
        if not self.is_open:
            self.begin()
        self.sent[topic] += 1
        try:
            if headers:
                self._produce(topic, value, key, headers=headers)
            else:
                self._produce(topic, value, key)
        except BufferError:
            self._hold(topic, value, key, headers=headers or [])

    @contextlib.contextmanager
    def only_with_commit(self) -> Iterator[None]:
        """Keep what is sent in this context until `send_last`."""
        self._is_last = True
        try:
            yield
        finally:
            self._is_last = False

    def send_last(self) -> None:
        """Send what waits for the last commit of the batch."""
        outputs, self._last_outputs = self._last_outputs, []
        for output in outputs:
            self.send(*output)

    def produce_changes(self, changed: dict[bytes, Any], values: dict[bytes, Any], offsets: bytes) -> None:
        """Produce one changelog record per changed key. The last one tells the task its offset, and has the source offsets in a header.

        Args:
            changed: at least one key with its bytes (None: deleted). Bytes of `NOT_ENCODED` are replaced by the encoded value.
            values: key -> value.
            offsets: the source offsets, encoded.
        """
        self.begin()
        task, stage, produce = self._task, self._task.stage, self._produce
        topic, encode, partition = stage.changelog, stage.encode, task.partition
        last = next(reversed(changed))
        for key, raw in changed.items():
            if raw is NOT_ENCODED:
                value = values[key]
                raw = changed[key] = None if value is None else encode(value)
            if key is last:
                break
            try:
                # librdkafka's binding parses positional arguments faster.
                produce(topic, raw, key, partition)
            except BufferError:
                produce = self._hold
                produce(topic, raw, key, partition)
        report = {"on_delivery": task.on_delivery, "headers": [(HEADER, offsets)]}
        try:
            produce(topic, changed[last], last, partition, **report)
        except BufferError:
            self._hold(topic, changed[last], last, partition, **report)

    def _hold(self, topic: str, value: bytes | None, key: bytes, partition: int = ANY_PARTITION, **more: Any) -> None:
        """Keep a record for which the producer's queue has no room, and all later ones, so that none overtakes another.

        Only polling makes room, and to wait for that here would stop the event loop: with a broker that is away, for as long as it is.
        """
        self._produce = self._hold
        self._held.append((topic, value, key, partition, more))

    @property
    def has_held(self) -> bool:
        """Whether records wait for room in the producer's queue."""
        return bool(self._held)

    def produce_held(self) -> None:
        """Produce the records that wait for room in the producer's queue."""
        producer = self._producer
        for topic, value, key, partition, more in self._held:
            while True:
                try:
                    producer.produce(topic, value, key, partition, **more)
                    break
                except BufferError:
                    producer.poll(0.05)
        self._held = []
        self._produce = producer.produce

    def flush(self) -> None:
        """Wait until the broker has all records.

        Raises:
            KafkaException: it does not accept one.
        """
        name = self._task.stage.name
        failpoints.reach(f"{name}.changes_produced")
        flush(self._producer)
        if self._task.delivery_error is not None:
            raise KafkaException(self._task.delivery_error)
        failpoints.reach(f"{name}.changes_acknowledged")

    def commit(self, sources: Sequence[TopicPartition], metadata: Any, prefix: str) -> None:
        """Commit the records and the source offsets.

        Args:
            sources: the next offset of each source topic.
            metadata: the consumer group's metadata.
            prefix: the beginning of the names of the failpoints.
        """
        producer = self._producer
        self.begin()
        if sources:
            retry_commit(lambda: producer.send_offsets_to_transaction(sources, metadata))
        failpoints.reach(f"{prefix}offsets")
        retry_commit(producer.commit_transaction)
        self.is_open = False

    def abort(self) -> None:
        """Abort the transaction.

        Raises:
            KafkaException: it cannot be aborted within `ABORT_TIMEOUT_S`.
        """
        self._producer.abort_transaction(ABORT_TIMEOUT_S)
