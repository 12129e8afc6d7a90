"""The sink of an import: the topics of a cluster."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaException, Producer

from streams.runtime.avro.codec import Codec
from streams.runtime.kafka.client_config import client_config
from streams.runtime.kafka.topic_reader import READ_TIMEOUT_S
from streams.settings import Settings
from streams.wire.encode.envelope import Envelope


class KafkaSink:
    """Publishes records, with an idempotent producer.

    Args:
        settings: the connection to the cluster.
        codec: the codec of the records.
        schema: the schema of the records.
        producer: a producer; None creates one.
    """

    def __init__(self, settings: Settings, codec: Codec, schema: str, *, producer: Any = None) -> None:
        config = {
            "enable.idempotence": True,
            "linger.ms": 50,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
        }
        self._producer = Producer(client_config(settings.kafka(), config)) if producer is None else producer
        self._envelope = Envelope(codec, "takk-import")
        self._schema = schema
        self._failed: list[Any] = []

    def send(self, topic: str, key: bytes, value: bytes, record_id: str) -> None:
        """Publish a record.

        Raises:
            KafkaException: an earlier record was not accepted.
        """
        headers = self._envelope.headers(self._schema, record_id, datetime.now(UTC))
        while True:
            self._check()
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=self._delivered)
                self._producer.poll(0)
                return
            except BufferError:  # the producer's queue is full
                self._producer.poll(1.0)

    def flush(self) -> None:
        """Wait until the broker has all records.

        Raises:
            KafkaException, TimeoutError: a record was not accepted.
        """
        left = self._producer.flush(READ_TIMEOUT_S)
        self._check()
        if left:
            raise TimeoutError(f"{left} records were not acknowledged within {READ_TIMEOUT_S:.0f} s")

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._failed.append(error)

    def _check(self) -> None:
        if self._failed:
            raise KafkaException(self._failed[0])
