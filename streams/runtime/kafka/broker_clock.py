"""Compare the clock of this process with that of a broker.

No answer of Kafka's protocol has the broker's time, except that to a record on a topic with `message.timestamp.type=LogAppendTime`
(KIP-32): the broker writes its own time into the record, and the producer gets it with the delivery report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaException, Producer

from streams.runtime.kafka.client_config import client_config
from streams.runtime.kafka.producer_record import ProducerRecord

#: Seconds that the broker may take to accept the record.
TIMEOUT_S = 30.0


def seconds_ahead(
    kafka: Mapping[str, Any], probe: ProducerRecord, wall: Callable[[], float] = lambda: time.time()
) -> float | None:
    """Return by how many seconds this process's clock is ahead of the broker's; less than 0 if it is behind.

    The time that the broker takes does not count: the result is 0 if the broker's time is between the request and the answer.

    Args:
        kafka: librdkafka settings of the cluster.
        probe: a record for a topic with `message.timestamp.type=LogAppendTime`. It is published.
        wall: the wall clock, in seconds since 1970.

    Returns:
        The seconds, or None if the topic keeps the producer's time.

    Raises:
        KafkaException: the broker did not accept the record in time.
    """
    answers: list[tuple[Any, tuple[int, int], float]] = []

    def on_delivery(error: Any, record: Any) -> None:
        answers.append((error, record.timestamp(), wall()))

    producer = Producer(client_config(kafka, {"linger.ms": 0, "message.timeout.ms": int(TIMEOUT_S * 1000)}))
    asked = wall()
    producer.produce(probe.topic, probe.value, probe.key, headers=probe.headers, on_delivery=on_delivery)
    producer.flush(TIMEOUT_S + 1)
    error, (kind, written_ms), answered = answers[0]
    if error is not None:
        raise KafkaException(error)
    if kind != TIMESTAMP_LOG_APPEND_TIME:
        return None
    written = written_ms / 1000
    return max(0.0, asked - written - 0.001) or min(0.0, answered - written)
