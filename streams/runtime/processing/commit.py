"""Parts of `Batch.commit`: the offsets of its records, retries, and a check whether the cluster is alive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.runtime.kafka.retry import retry

#: Seconds for which a commit is retried while the broker reports retriable errors. After that the process ends and is restarted.
COMMIT_RETRY_TIMEOUT_S = 60.0
#: Seconds of one call of `flush`, which is repeated.
FLUSH_S = 5.0
#: Seconds in which a live cluster answers a metadata request.
METADATA_TIMEOUT_S = 5.0


def offset_ranges(records: Sequence[Any]) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
    """Return the (first, last) offset per topic, and the number of records per topic.

    Args:
        records: the records of one partition number, ordered by topic, then by offset.
    """
    offsets: dict[str, tuple[int, int]] = {}
    counts: dict[str, int] = {}
    start, count = 0, len(records)
    while start < count:
        topic = records[start].topic()
        end = count if records[-1].topic() == topic else start + 1
        while end < count and records[end].topic() == topic:
            end += 1
        offsets[topic] = (records[start].offset(), records[end - 1].offset())
        counts[topic] = end - start
        start = end
    return offsets, counts


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


def flush(producer: Producer) -> None:
    """Wait until every produced record is delivered, or has failed. A record fails when it is not delivered within the transaction's timeout.

    Raises:
        KafkaException: the producer cannot be used any more, for example because it is fenced.
    """
    try:
        while producer.flush(FLUSH_S):
            pass
    except SystemError as error:
        # confluent-kafka 2.14 raises a fatal error while it calls a delivery report, and Python then reports the call.
        raise KafkaException(KafkaError(KafkaError._FATAL, str(error.__cause__ or error))) from error
