"""Produces records that the broker accepts only because they are compressed well: it limits the compressed size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Producer

#: Topic, key, value and headers.
Compressible = tuple[str, bytes | None, bytes | None, list[tuple[str, bytes | None]]]


def produce_zstd(kafka: Mapping[str, Any], items: Iterable[Compressible]) -> None:
    """Produce records, each as a batch of its own that is compressed with zstd. `kafka` has librdkafka's settings of the cluster."""
    producer = Producer(
        {
            **kafka,
            "compression.type": "zstd",
            "message.max.bytes": 64 << 20,
            "linger.ms": 0,
            "partitioner": "murmur2_random",
        }
    )
    failed: list[Any] = []
    for topic, key, value, headers in items:
        producer.produce(
            topic, value, key, headers=headers, on_delivery=lambda error, _: error and failed.append(error)
        )
        assert producer.flush(60) == 0
    assert failed == []
