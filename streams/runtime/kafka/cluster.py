"""Requests to a cluster about its topics: their ids, their partitions, and the first and last offsets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from streams.runtime.kafka.client_config import admin_config
from streams.runtime.kafka.retry import is_away, retry

log = structlog.get_logger(__name__)

#: Seconds that one request may take.
REQUEST_TIMEOUT_S = 30.0

#: Topic and partition number.
Partition = tuple[str, int]


@dataclass(frozen=True)
class TopicIds:
    """The ids that tell a topic from another one with the same name (KIP-516).

    Attributes:
        cluster: the id of the cluster; empty if it has none.
        topics: topic -> its id. A cluster before Kafka 2.8 gives none.
    """

    cluster: str = ""
    topics: Mapping[str, str] = field(default_factory=dict)

    def of(self, topic: str) -> bytes:
        """Return the identity of `topic`, as stores keep it; empty if it is unknown."""
        topic_id = self.topics.get(topic, "")
        return f"{self.cluster} {topic_id}".encode() if self.cluster and topic_id else b""


class Cluster:
    """Requests to one cluster. Each is repeated while the cluster elects leaders, for up to a minute.

    Args:
        kafka: librdkafka settings of the cluster.
    """

    def __init__(self, kafka: Mapping[str, Any]) -> None:
        self._kafka = kafka
        self._client: Any = None

    @property
    def _admin(self) -> Any:
        if self._client is None:
            self._client = AdminClient(admin_config(self._kafka))
        self._client.poll(0)  # delivers its log lines
        return self._client

    def bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return the first offset of each partition, and the offset after its last one, open transactions included.

        Raises:
            KafkaException: the cluster did not answer.
        """
        if not partitions:
            return {}
        low = retry(lambda: self._offsets(partitions, OffsetSpec.earliest()))
        high = retry(lambda: self._offsets(partitions, OffsetSpec.latest()))
        return {partition: (low[partition], high[partition]) for partition in partitions}

    def _offsets(self, partitions: Iterable[Partition], spec: Any) -> dict[Partition, int]:
        answers = self._admin.list_offsets(
            {TopicPartition(topic, number): spec for topic, number in partitions},
            isolation_level=IsolationLevel.READ_UNCOMMITTED,
            request_timeout=REQUEST_TIMEOUT_S,
        )
        return {(tp.topic, tp.partition): answer.result().offset for tp, answer in answers.items()}

    def partition_counts(self) -> dict[str, int]:
        """Return the number of partitions of each topic.

        Raises:
            KafkaException: the cluster did not answer.
        """
        metadata = retry(lambda: self._admin.list_topics(timeout=REQUEST_TIMEOUT_S))
        return {name: len(topic.partitions) for name, topic in metadata.topics.items() if topic.error is None}

    def broker_settings(self) -> dict[str, str]:
        """Return the settings of one of the brokers that have a value.

        Raises:
            KafkaException: the cluster did not answer, or does not give them to this user.
        """
        metadata = retry(lambda: self._admin.list_topics(timeout=REQUEST_TIMEOUT_S))
        broker = ConfigResource(ResourceType.BROKER, str(min(metadata.brokers)))

        def describe() -> Any:
            (answer,) = self._admin.describe_configs([broker], request_timeout=REQUEST_TIMEOUT_S).values()
            return answer.result()

        return {name: entry.value for name, entry in retry(describe).items() if entry.value is not None}

    def transactional_id_expiration_s(self) -> float | None:
        """Return the seconds after which an idle transactional id expires; None if the cluster does not say it to this user.

        Raises:
            KafkaException: the cluster did not answer.
        """
        try:
            return int(self.broker_settings()["transactional.id.expiration.ms"]) / 1000
        except KafkaException as error:
            if is_away(error):
                raise
            log.info("cannot read when transactional ids expire", error=error)
            return None

    def ids(self, topics: Collection[str]) -> TopicIds:
        """Return the ids of the cluster and of `topics`.

        Raises:
            KafkaException: the cluster did not answer, or lacks a topic.
        """
        metadata = retry(lambda: self._admin.list_topics(timeout=REQUEST_TIMEOUT_S))
        return TopicIds(metadata.cluster_id or "", retry(lambda: self._topic_ids(topics)) if topics else {})

    def _topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        answers = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=REQUEST_TIMEOUT_S)
        ids = {name: answer.result().topic_id for name, answer in answers.items()}
        return {name: str(value) for name, value in ids.items() if value is not None and _is_set(value)}


def _is_set(topic_id: Any) -> bool:
    """Return whether the broker knows topic ids: an old one answers with zeros."""
    return bool(topic_id.get_most_significant_bits() or topic_id.get_least_significant_bits())
