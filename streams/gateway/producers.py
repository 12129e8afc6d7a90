"""The idempotent producers of the gateway, the requests that wait for them, and the publishing of a segment of the spool."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from prometheus_client import Counter

from streams.observability import metrics
from streams.runtime.kafka.client_config import SEVERE, client_config
from streams.runtime.kafka.limits import DEFAULT_TOPIC_BYTES, SMALL_BYTES
from streams.runtime.kafka.producer_record import ProducerRecord, size_of

#: Seconds for which a producer repeats a record. Those of requests are given up earlier; in a recovery the attempt ends then.
DELIVERY_TIMEOUT_S = 30.0
#: Seconds between two polls of a producer while it has records.
POLL_S = 0.001
#: Records of a segment that the producer has at once.
WINDOW = 2_000
#: Errors that other attempts do not change. The record is set aside, so that those behind it go on.
PERMANENT = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG})


class RecordRefused(Exception):
    """The broker refuses a record for good, or it is larger than its topic accepts."""


def check_size(records: Sequence[ProducerRecord]) -> None:
    """Check that topics accept records of this size.

    Raises:
        RecordRefused: one is too large.
    """
    for record in records:
        if len(record.value or b"") <= SMALL_BYTES:
            continue
        if size_of(record.key, record.value, record.headers) > DEFAULT_TOPIC_BYTES:
            raise RecordRefused(f"a record for {record.topic} is too large")


def open_producer(kafka: Mapping[str, Any], delivery_timeout_s: float = DELIVERY_TIMEOUT_S) -> Any:
    """Return an idempotent producer.

    Args:
        kafka: librdkafka settings of the cluster.
        delivery_timeout_s: seconds after which a record that is not acknowledged fails.
    """
    settings = {
        "log_level": SEVERE,
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "linger.ms": 1,
        "compression.type": "lz4",
        "delivery.timeout.ms": int(delivery_timeout_s * 1000),
        "request.timeout.ms": int(min(delivery_timeout_s, 10.0) * 1000),
        # The default of 10 s would be the longest part of a recovery.
        "reconnect.backoff.max.ms": 1000,
        "queue.buffering.max.kbytes": 64 << 10,
        "message.max.bytes": DEFAULT_TOPIC_BYTES,
    }
    return Producer(client_config(kafka, settings))


@cache
def _counter_of(topic: str) -> Counter:
    """Return the counter of a topic's records: finding it by its label takes longer than counting."""
    return metrics.GATEWAY_RECORDS.labels(topic)


class PendingRequest:
    """The records of one request, and how many of them the broker has not acknowledged."""

    __slots__ = ("at", "future", "left", "records")

    def __init__(self, records: Sequence[ProducerRecord], future: asyncio.Future[None], at: float) -> None:
        self.records = records
        self.future = future
        self.left = len(records)
        self.at = at

    def succeed(self) -> None:
        """Count the records, which are safe, and answer the request unless its client no longer waits."""
        for record in self.records:
            _counter_of(record.topic).inc()
        if not self.future.done():
            self.future.set_result(None)

    def fail(self, error: Exception) -> None:
        """Let the request fail, unless its client no longer waits."""
        if not self.future.done():
            self.future.set_exception(error)


class Replay:
    """Publishes the records of a segment, some at a time.

    Attributes:
        refused: the records that the broker refuses for good.
    """

    def __init__(self, producer: Any, records: Sequence[ProducerRecord]) -> None:
        self.producer = producer
        self._records = records
        self._next = self._answered = 0
        self._error = ""
        self.refused: list[ProducerRecord] = []

    async def run(self, timeout_s: float) -> str:
        """Publish the records. Return why the broker has not answered for all of them within `timeout_s` seconds, or an empty text."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while self._answered < len(self._records):
            self._step()
            if self._error or loop.time() > deadline:
                return self._error or f"no answer within {timeout_s:g} s"
            await asyncio.sleep(POLL_S)
        return ""

    def _step(self) -> None:
        """Give the producer more records, and take its answers."""
        try:
            while self._next < len(self._records) and self._next - self._answered < WINDOW:
                record = self._records[self._next]
                self.producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    headers=record.headers,
                    on_delivery=partial(self._on_delivery, record),
                )
                self._next += 1
        except BufferError:
            pass  # the producer's queue is full: the next step goes on
        except KafkaException as error:
            self._error = error.args[0].str()
        self.producer.poll(0)

    def _on_delivery(self, record: ProducerRecord, error: Any, message: Any) -> None:
        if error is None:
            self._answered += 1
        elif error.code() in PERMANENT:
            self.refused.append(record)
            self._answered += 1
        else:
            self._error = error.str()


def end_later(producer: Any) -> None:
    """Drop what a producer holds, and end it in a thread: that waits for its own threads, possibly for a broker that does not answer."""
    threading.Thread(target=_end, args=(producer,), name="takk-producer-end", daemon=True).start()


def _end(producer: Any) -> None:
    producer.purge(in_queue=True, in_flight=True, blocking=False)
    producer.close()
