"""Asking again: an error that passes is waited for, one that does not is told at once."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.runtime.kafka.retry import retry


class Cluster:
    """Answers 7 after the given errors."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self.asked = 0

    def question(self) -> int:
        self.asked += 1
        if self.errors:
            raise KafkaException(KafkaError(self.errors.pop(0)))
        return 7


def test_what_passes_is_asked_again() -> None:
    """An election and a lost connection end in the answer."""
    cluster = Cluster(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._TRANSPORT)
    assert retry(cluster.question) == 7
    assert cluster.asked == 3


def test_what_does_not_pass_is_told_at_once() -> None:
    """Missing rights are not asked about twice."""
    cluster = Cluster(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        retry(cluster.question)
    assert cluster.asked == 1


def test_patience_ends() -> None:
    """An error that does not pass in time is told."""
    cluster = Cluster(*[KafkaError._TRANSPORT] * 5)
    with pytest.raises(KafkaException):
        retry(cluster.question, timeout_s=0.0)
    assert cluster.asked < 5
