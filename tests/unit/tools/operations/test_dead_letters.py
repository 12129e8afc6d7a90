"""Replaying dead letters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import KafkaException

from streams.runtime.kafka.limits import MAX_RECORD_BYTES
from streams.settings import load_settings
from streams.tools.operations.dead_letters import DeadLetter, replay_producer


def test_the_largest_dead_letter_can_be_replayed() -> None:
    """A record as large as the topics allow is accepted by the producer that replays it, and a larger one is not."""
    producer = replay_producer(load_settings(kafka_bootstrap_servers="127.0.0.1:1"))
    producer.produce("email-commands", b"x" * (MAX_RECORD_BYTES - 1024))
    with pytest.raises(KafkaException, match="MSG_SIZE_TOO_LARGE"):
        producer.produce("email-commands", b"x" * (MAX_RECORD_BYTES + 1))
    producer.purge()


def letter(**changes: Any) -> DeadLetter:
    """Return a complete dead letter with `changes` to its fields."""
    fields: dict[str, Any] = {
        "topic": "orders", "partition": 3, "offset": 42, "key": b"k", "value": b"v", "headers": (), "reason": "not_avro", "detail": "",
        "stage": "flows", "failed_at": datetime(2026, 3, 2, tzinfo=UTC),
    }  # fmt: skip
    return DeadLetter(**(fields | changes))


def test_only_a_complete_record_can_be_replayed() -> None:
    """A letter says why its record cannot be replayed, and where the record is. Without its headers a record is processed too."""
    assert letter().obstacle is None
    assert letter(value=None, key=None).obstacle is None
    assert letter(has_all_headers=False).obstacle is None
    place = "The record is at offset 42 of orders[3] until it expires there"
    cut = letter(value=b"v" * 65_536, value_bytes=9_000_000)
    assert cut.obstacle == f"the dead letter has only 65,536 of 9,000,000 bytes of its value. {place}"
    assert letter(key_bytes=2000).obstacle == f"the dead letter has only 1 of 2,000 bytes of its key. {place}"
    assert letter(value=None, value_bytes=-1).obstacle == f"the dead letter has no value. {place}"
