"""Retrying the calls of a transaction's commit, and finding out whether the cluster is alive."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.runtime.kafka.retry import ask

#: Seconds that a commit may be tried again while the broker asks for patience; past it the process ends and is restarted.
COMMIT_PATIENCE_S = 60.0
#: Seconds in which a living cluster answers a question about itself.
ANSWER_WITHIN_S = 5.0


def cluster_answers(producer: Producer) -> bool:
    """Whether any broker answers, within `ANSWER_WITHIN_S`."""
    try:
        producer.list_topics(timeout=ANSWER_WITHIN_S)
    except KafkaException:
        return False
    return True


def patiently(call: Callable[[], None]) -> None:
    """Run a transactional call again as long as librdkafka calls its error retriable, for `COMMIT_PATIENCE_S` at most.

    Raises:
        KafkaException: an error that is not retriable (fenced, aborted), or patience ran out.
    """
    # librdkafka has waited by itself before it gives such an error, so there is no pause.
    ask(call, passes=KafkaError.retriable, pause_s=0.0, patience_s=COMMIT_PATIENCE_S)
