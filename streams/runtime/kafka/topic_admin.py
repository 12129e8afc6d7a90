"""Creation of topics, and comparison of existing topics with their specifications."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from streams.runtime.kafka.client_config import admin_config
from streams.runtime.kafka.limits import DEFAULT_TOPIC_BYTES

#: Timeout for one admin request, and for new topics to appear in the metadata, in seconds.
ADMIN_TIMEOUT_S = 30.0

Cleanup = Literal["delete", "compact"]


@dataclass(frozen=True, kw_only=True)
class TopicSpec:
    """The specification of a topic.

    Attributes:
        name: name of the topic.
        schema: name of the records' schema in `schemas/`; empty for changelogs, whose values have no schema.
        key: description of a record's key.
        cleanup: Kafka's `cleanup.policy`.
        retention_ms: retention of the records in ms; None: permanent.
        partitions: number of partitions; None: as many as every topic that is keyed by customer.
        config: further topic settings.
    """

    name: str
    schema: str
    key: str
    cleanup: Cleanup = "delete"
    retention_ms: int | None = None
    partitions: int | None = None
    config: Mapping[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, str]:
        """Return the topic's Kafka configuration."""
        retention = -1 if self.retention_ms is None else self.retention_ms
        return {"cleanup.policy": self.cleanup, "retention.ms": str(retention), **self.config}


class TopicMismatch(RuntimeError):
    """Existing topics differ from their specification.

    Attributes:
        problems: for each difference, what is wrong and what to do.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def ensure_topics(kafka: Mapping[str, Any], specs: Iterable[TopicSpec], partitions: int, replication: int) -> list[str]:
    """Compare the existing topics with `specs`, create the missing ones, and return the names of the new topics.

    Args:
        kafka: librdkafka settings of the cluster.
        specs: the topics.
        partitions: number of partitions of every topic whose specification has none.
        replication: number of replicas of a new topic. With 3 or more, a write needs all replicas but one.

    Raises:
        TopicMismatch: a topic exists with other partitions or another cleanup policy, or accepts too small records only. No topic was
            created.
        KafkaException: the cluster is unreachable or refuses a request.
    """
    specs = list(specs)
    admin = AdminClient(admin_config(kafka))
    existing = _partitions(admin)
    _refuse_mismatches(admin, specs, existing, partitions)
    durable = {"min.insync.replicas": str(replication - 1)} if replication >= 3 else {}
    missing = [
        NewTopic(spec.name, spec.partitions or partitions, replication, config={**spec.settings(), **durable})
        for spec in specs
        if spec.name not in existing
    ]
    # A new topic may be missing in the metadata, but the controller knows it. Validating first finds every mismatch before any
    # topic is created.
    existing_names = _create(admin, missing, validate_only=True)
    if existing_names:
        _refuse_mismatches(admin, specs, _await(admin, existing_names), partitions)
    missing = [topic for topic in missing if topic.topic not in existing_names]
    # Two workers that start together create the same topics. The comparison afterwards finds out whether they agree.
    existing_names = _create(admin, missing)
    if missing:
        _refuse_mismatches(admin, specs, _await(admin, {topic.topic for topic in missing}), partitions)
    return sorted(topic.topic for topic in missing if topic.topic not in existing_names)


def record_limits(kafka: Mapping[str, Any], names: Iterable[str]) -> dict[str, int]:
    """Return the bytes of a record that each of the topics accepts (its `max.message.bytes`).

    Raises:
        KafkaException: the cluster is unreachable or refuses the request.
    """
    configs = _configs(AdminClient(admin_config(kafka)), sorted(names))
    return {name: int(config["max.message.bytes"].value) for name, config in configs.items()}


def _create(admin: Any, new: list[Any], validate_only: bool = False) -> set[str]:
    """Create topics, or only validate the request. Return the names of those that already exist."""
    existing: set[str] = set()
    if not new:
        return existing
    for name, future in admin.create_topics(
        new, operation_timeout=ADMIN_TIMEOUT_S, validate_only=validate_only
    ).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            existing.add(name)
    return existing


def _partitions(admin: Any) -> dict[str, int]:
    topics = admin.list_topics(timeout=ADMIN_TIMEOUT_S).topics
    return {name: len(topic.partitions) for name, topic in topics.items() if topic.error is None}


def _await(admin: Any, names: set[str]) -> dict[str, int]:
    """Wait until the cluster's metadata has the topics, and return the partitions by topic. Brokers see a new topic with a delay."""
    deadline = time.monotonic() + ADMIN_TIMEOUT_S
    while not names <= (existing := _partitions(admin)).keys():
        if time.monotonic() > deadline:
            missing = ", ".join(sorted(names - existing.keys()))
            raise KafkaException(
                KafkaError(
                    KafkaError._TIMED_OUT, f"created, but missing in the metadata after {ADMIN_TIMEOUT_S} s: {missing}"
                )
            )
        time.sleep(0.05)
    return existing


def partitions_problem(topic: str, actual: int, expected: int, *, is_setting: bool = True) -> str:
    """Return what is wrong with a topic of `actual` instead of `expected` partitions, and what to do.

    Args:
        topic: the name of the topic.
        actual, expected: numbers of partitions.
        is_setting: whether TAKK_PARTITIONS sets the number.
    """
    replaced = "delete or rename the topic, run `takk topics create`, and copy its records over"
    remedy = (
        f"set TAKK_PARTITIONS={actual} if all topics have {actual}; otherwise {replaced} (adding partitions moves customers, so it does "
        "not help)"
        if is_setting
        else replaced
    )
    return f"topic {topic} has {actual} partitions and must have {expected}: {remedy}"


def _refuse_mismatches(admin: Any, specs: list[TopicSpec], existing: Mapping[str, int], partitions: int) -> None:
    present = [spec for spec in specs if spec.name in existing]
    configs = _configs(admin, [spec.name for spec in present])
    problems = []
    for spec in present:
        expected, actual = spec.partitions or partitions, existing[spec.name]
        if actual != expected:
            problems.append(partitions_problem(spec.name, actual, expected, is_setting=spec.partitions is None))
        cleanup = configs[spec.name]["cleanup.policy"].value
        if cleanup != spec.cleanup:
            problems.append(
                f"topic {spec.name} has cleanup.policy={cleanup} and must have {spec.cleanup}: set it with "
                f"`kafka-configs --alter --topic {spec.name} --add-config cleanup.policy={spec.cleanup}`"
            )
        # A record that a topic refuses would end the process at each commit.
        needed = int(spec.config.get("max.message.bytes", DEFAULT_TOPIC_BYTES))
        if (accepted := int(configs[spec.name]["max.message.bytes"].value)) < needed:
            problems.append(
                f"topic {spec.name} has max.message.bytes={accepted} and must accept {needed}: set it with "
                f"`kafka-configs --alter --topic {spec.name} --add-config max.message.bytes={needed}`"
            )
    if problems:
        raise TopicMismatch(problems)


def _configs(admin: Any, names: list[str]) -> dict[str, Any]:
    """Return the settings of each topic, by their names."""
    if not names:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = admin.describe_configs(resources, request_timeout=ADMIN_TIMEOUT_S)
    return {resource.name: future.result() for resource, future in answers.items()}
