"""The uncommitted end of a changelog: changes that the broker acknowledged to an earlier owner, whose transaction then ended by an abort.

A stage that acts on the outside world writes its intent to the changelog first, and waits for the broker (`Batch.acknowledge`). The
transaction is committed later. If the process dies meanwhile, the transaction is aborted, and a restore does not see the intent. The records
are still in the log, and a consumer that reads uncommitted records gets them.

This is safe because of the order of a takeover. The new owner fences the producer of the earlier one (KIP-98) before it reads. The broker
acknowledges no record of a fenced producer, so each acknowledged intent is in the log at that time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.runtime.kafka.client_config import consumer_config
from streams.runtime.state.restore import watermarks

#: Offsets at the end of a changelog that are read. A mailer writes at most some 1,200 records before it commits, and commits what it finds
#: here first, so this is enough for several owners that died in turn.
LAST_OFFSETS = 10_000
#: Seconds without an answer after which reading fails.
TIMEOUT_S = 60.0


def uncommitted_changes(kafka: Mapping[str, Any], topic: str, partition: int) -> dict[bytes, bytes | None]:
    """Return the newest value of each key whose newest record is not committed. The earlier owner must be fenced.

    Args:
        kafka: librdkafka settings of the cluster.
        topic: the changelog topic.
        partition: the partition number.

    Raises:
        KafkaException: the broker cannot be read.
        TimeoutError: the broker did not answer.
    """
    newest: dict[bytes, tuple[int, bytes | None]] = {}
    offset = -1
    for offset, key, value in _read(kafka, topic, partition, "read_uncommitted"):
        newest[key] = offset, value
    if offset < 0:
        return {}
    committed = {offset for offset, _, _ in _read(kafka, topic, partition, "read_committed")}
    return {key: value for key, (offset, value) in newest.items() if offset not in committed}


def _read(
    kafka: Mapping[str, Any], topic: str, partition: int, isolation: str
) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Yield offset, key and value of the last records of a partition."""
    settings = {"isolation.level": isolation, "enable.partition.eof": True, "auto.offset.reset": "earliest"}
    consumer: Any = Consumer(consumer_config(kafka, f"uncommitted-{topic}", settings))
    try:
        low, high = watermarks(consumer, topic, partition)
        if low == high:
            return
        consumer.assign([TopicPartition(topic, partition, max(low, high - LAST_OFFSETS))])
        while True:
            messages = consumer.consume(1, TIMEOUT_S) + consumer.consume(LAST_OFFSETS, 0.0)
            if not messages:
                raise TimeoutError(f"no answer from the broker within {TIMEOUT_S:.0f} s while reading {topic}")
            for message in messages:
                error = message.error()
                if error is None:
                    yield message.offset(), message.key(), message.value()
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
                elif not error.retriable():
                    raise KafkaException(error)
    finally:
        consumer.close()
