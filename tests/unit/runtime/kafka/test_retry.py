"""Retries: a transient error is retried, any other is raised at once."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.runtime.kafka.retry import retry


class Cluster:
    """A cluster that answers 7 after the given errors."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)
        self.requests = 0

    def answer(self) -> int:
        self.requests += 1
        if self.errors:
            raise KafkaException(KafkaError(self.errors.pop(0)))
        return 7


def test_a_transient_error_is_retried() -> None:
    """The answer comes after an election and a lost connection."""
    cluster = Cluster(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._TRANSPORT)
    assert retry(cluster.answer) == 7
    assert cluster.requests == 3


def test_a_partition_that_a_silent_broker_hides_is_retried() -> None:
    """librdkafka does not know a partition while the partition's broker does not answer. The answer comes with the broker's."""
    cluster = Cluster(KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_PARTITION)
    assert retry(cluster.answer) == 7


def test_another_error_is_raised_at_once() -> None:
    """A request without the needed permission is not repeated."""
    cluster = Cluster(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        retry(cluster.answer)
    assert cluster.requests == 1


def test_the_timeout_ends_the_retries() -> None:
    """An error that lasts longer than the timeout is raised."""
    cluster = Cluster(*[KafkaError._TRANSPORT] * 5)
    with pytest.raises(KafkaException):
        retry(cluster.answer, timeout_s=0.0)
    assert cluster.requests < 5
