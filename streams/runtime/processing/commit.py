"""Retrying the calls of a commit, and checking whether the cluster is alive."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.runtime.kafka.retry import retry

#: Seconds for which a commit is retried while the broker reports retriable errors. After that the process ends and is restarted.
COMMIT_RETRY_TIMEOUT_S = 60.0
#: Seconds in which a live cluster answers a metadata request.
METADATA_TIMEOUT_S = 5.0


def cluster_answers(producer: Producer) -> bool:
    """Return whether any broker answers within `METADATA_TIMEOUT_S`."""
    try:
        producer.list_topics(timeout=METADATA_TIMEOUT_S)
    except KafkaException:
        return False
    return True


def retry_commit(call: Callable[[], None]) -> None:
    """Run a transactional call, and retry it while its error is retriable, for at most `COMMIT_RETRY_TIMEOUT_S`.

    Raises:
        KafkaException: the error is not retriable (fenced, aborted), or the time is over.
    """
    # librdkafka has already waited before it reports such an error, so there is no pause.
    retry(call, is_retriable=KafkaError.retriable, pause_s=0.0, timeout_s=COMMIT_RETRY_TIMEOUT_S)
