"""The meaning of a failed commit, by the error of its producer."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.runtime.kafka.fatal_errors import hint_of, name_of


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KafkaError(KafkaError._FENCED), "another process has taken over this partition"),
        (KafkaError(KafkaError.INVALID_PRODUCER_EPOCH), "another process has taken over this partition"),
        (
            KafkaError(KafkaError._FATAL, "Fatal error: Producer fenced by newer instance"),
            "another process has taken over",
        ),
        (KafkaError(KafkaError.INVALID_PRODUCER_ID_MAPPING), "transactional.id.expiration.ms"),
        (KafkaError(KafkaError.UNKNOWN_PRODUCER_ID), "producer.id.expiration.ms"),
        (KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED), "allow this user"),
    ],
)
def test_what_has_happened_to_the_producer(error: KafkaError, words: str) -> None:
    """The hint says what has happened, that nothing is lost, and that the supervisor restarts the process."""
    hint = hint_of(KafkaException(error))
    assert hint is not None
    assert words in hint
    assert "nothing is lost" in hint.lower()
    assert "supervisor restarts the process" in hint


@pytest.mark.parametrize(
    "error", [ValueError("x"), KafkaException("x"), KafkaException(KafkaError(KafkaError._FATAL, "another reason"))]
)
def test_other_errors(error: Exception) -> None:
    """They have no hint of their own."""
    assert hint_of(error) is None


def test_the_name_of_an_error() -> None:
    """A Kafka error has one, for the log."""
    assert name_of(KafkaException(KafkaError(KafkaError._FENCED))) == "_FENCED"
    assert name_of(ValueError("x")) is None
