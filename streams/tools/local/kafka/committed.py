"""The committed records of whole topics, for tests and the demo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.runtime.kafka.client_config import consumer_config


def read_all(kafka: Mapping[str, Any], names: Iterable[str]) -> dict[str, list[Any]]:
    """Return all committed records of the topics `names`, in the order of their offsets within each partition."""
    settings = {"enable.partition.eof": True, "auto.offset.reset": "earliest"}
    consumer = Consumer(consumer_config(kafka, "takk-oracle", settings))
    try:
        records: dict[str, list[Any]] = {name: [] for name in names}
        partitions = [
            TopicPartition(name, number, 0)
            for name in records
            for number in consumer.list_topics(name, timeout=30).topics[name].partitions
        ]
        consumer.assign(partitions)
        unfinished = {(partition.topic, partition.partition) for partition in partitions}
        while unfinished:
            for message in consumer.consume(10_000, 0.5):
                error = message.error()
                if error is None:
                    records[message.topic()].append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    unfinished.discard((message.topic(), message.partition()))
                else:
                    raise KafkaException(error)
        return records
    finally:
        consumer.close()
