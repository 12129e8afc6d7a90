"""Publishing a few records outside a transaction, with the broker's acknowledgement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer

from streams.runtime.kafka.client_config import client_config
from streams.runtime.kafka.topic_reader import READ_TIMEOUT_S


def publish(kafka: Mapping[str, Any], topic: str, records: Iterable[tuple[bytes, bytes | None]]) -> None:
    """Publish keys and values, and wait until the broker has them.

    Args:
        kafka: librdkafka settings of the cluster.
        topic: the topic.
        records: key and value of each record; None deletes the key of a compacted topic.

    Raises:
        KafkaException, TimeoutError: a record was not accepted.
    """
    producer = Producer(client_config(kafka, {"enable.idempotence": True, "linger.ms": 0}))
    results: list[Any] = []
    for key, value in records:
        producer.produce(topic, value, key, on_delivery=lambda error, _: results.append(error))
    left = producer.flush(READ_TIMEOUT_S)
    if failed := [error for error in results if error is not None]:
        raise KafkaException(failed[0])
    if left:
        raise TimeoutError(f"{left} records were not acknowledged within {READ_TIMEOUT_S:.0f} s")
