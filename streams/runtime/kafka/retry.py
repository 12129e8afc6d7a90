"""Retrying requests while the cluster changes: an error that passes without help must not stop a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

T = TypeVar("T")

#: Seconds for which a request is retried.
RETRY_TIMEOUT_S = 60.0
#: Seconds between two attempts. A new leader is usually elected within one or two seconds.
RETRY_PAUSE_S = 0.1
#: Errors of a cluster that elects a leader, moves a coordinator or loses a broker. librdkafka marks only the errors of transactional calls
#: as retriable, so the others are listed here.
TRANSIENT_ERRORS = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        # Also for a partition that exists, while its broker does not answer (confluent-kafka-python's issue 1043).
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._WAIT_COORD,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
    }
)


def is_transient(error: KafkaError) -> bool:
    """Return whether `error` is one of `TRANSIENT_ERRORS`."""
    return error.code() in TRANSIENT_ERRORS


def is_away(error: Exception) -> bool:
    """Return whether `error` is what a request gets while the broker is away: it may succeed later without help."""
    if isinstance(error, KafkaException):
        return is_transient(error.args[0]) or error.args[0].code() == KafkaError._MSG_TIMED_OUT
    return isinstance(error, TimeoutError)


def retry(
    request: Callable[[], T],
    is_retriable: Callable[[KafkaError], bool] = is_transient,
    pause_s: float = RETRY_PAUSE_S,
    timeout_s: float = RETRY_TIMEOUT_S,
) -> T:
    """Return the result of `request`, which is repeated every `pause_s` seconds while its error is retriable.

    Raises:
        KafkaException: the error is not retriable, or the request still fails after `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return request()
        except KafkaException as error:
            if not is_retriable(error.args[0]) or time.monotonic() > deadline:
                raise
        time.sleep(pause_s)
