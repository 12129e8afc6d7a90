"""The meaning of a failed commit, by the error of its transactional producer."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

#: Another producer has the transactional id, or the coordinator has aborted the transaction and raised the epoch.
FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
#: The coordinator or a broker of a partition no longer knows the producer.
FORGOTTEN = frozenset({KafkaError.INVALID_PRODUCER_ID_MAPPING, KafkaError.UNKNOWN_PRODUCER_ID})
REFUSED = frozenset({KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED})

_RESTART = "Nothing is lost: the supervisor restarts the process, which continues after the last commit."
_FENCED_HINT = (
    "another process has taken over this partition, or the broker has aborted a transaction that was open for more than a minute. That happens "
    f"after a pause of this process, and in a rebalance. {_RESTART} If it repeats, check that each process has its own TAKK_GROUP_INSTANCE_ID "
    "and enough CPU."
)
_FORGOTTEN_HINT = (
    f"the broker no longer knows the producer of this partition. {_RESTART} If it repeats, raise transactional.id.expiration.ms and "
    "producer.id.expiration.ms of the brokers."
)
_REFUSED_HINT = (
    "the broker refuses the transactional id or a topic. Nothing is lost: allow this user to write them; transactional ids begin with "
    "the name of the consumer group. The supervisor restarts the process."
)


def name_of(error: BaseException) -> str | None:
    """Return the name of a Kafka error, such as `_FENCED`; None for any other."""
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        return str(error.args[0].name())
    return None


def hint_of(error: BaseException) -> str | None:
    """Return what has happened and what to do after a commit failed with `error`; None if its code says nothing about that."""
    if name_of(error) is None:
        return None
    kafka_error: KafkaError = error.args[0]
    code = kafka_error.code()
    # librdkafka reports the first fatal error of a producer in words only.
    if code in FENCED or (code == KafkaError._FATAL and "fenced" in kafka_error.str().lower()):
        return _FENCED_HINT
    if code in FORGOTTEN:
        return _FORGOTTEN_HINT
    return _REFUSED_HINT if code in REFUSED else None
