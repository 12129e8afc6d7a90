"""Replaying dead letters."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaException

from streams.runtime.kafka.limits import MAX_RECORD_BYTES
from streams.settings import load_settings
from streams.tools.operations.dead_letters import replay_producer


def test_the_largest_dead_letter_can_be_replayed() -> None:
    """A record as large as the topics allow is accepted by the producer that replays it, and a larger one is not."""
    producer = replay_producer(load_settings(kafka_bootstrap_servers="127.0.0.1:1"))
    producer.produce("email-commands", b"x" * (MAX_RECORD_BYTES - 1024))
    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        producer.produce("email-commands", b"x" * (MAX_RECORD_BYTES + 1))
    producer.purge()
