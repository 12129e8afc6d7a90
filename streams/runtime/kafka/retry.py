"""Asking the cluster again while a broker changes: what passes by itself must not end a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

T = TypeVar("T")

#: Seconds for which a question is asked again.
PATIENCE_S = 60.0
#: Seconds between two questions: a new leader is found within one or two.
PAUSE_S = 0.1
#: Errors of a cluster that is electing a leader, moving a coordinator or losing a broker. librdkafka says of transactional calls alone
#: whether their errors pass (`retriable`); of all others it does not.
PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
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


def is_passing(error: KafkaError) -> bool:
    """Whether `error` is one of `PASSING`."""
    return error.code() in PASSING


def ask(
    question: Callable[[], T],
    passes: Callable[[KafkaError], bool] = is_passing,
    pause_s: float = PAUSE_S,
    patience_s: float = PATIENCE_S,
) -> T:
    """The answer of the cluster to `question`, which is put again after `pause_s` seconds as long as its error `passes` by itself.

    Raises:
        KafkaException: an error that does not pass, or one that has not passed within `patience_s` seconds.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return question()
        except KafkaException as error:
            if not passes(error.args[0]) or time.monotonic() > deadline:
                raise
        time.sleep(pause_s)
