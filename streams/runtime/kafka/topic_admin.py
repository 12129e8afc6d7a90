"""Creating topics, and comparing those that exist with what they must be."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

#: Seconds that the broker may take for one admin request, and for new topics to be seen by everyone.
PATIENCE_S = 30.0

Cleanup = Literal["delete", "compact"]


@dataclass(frozen=True, kw_only=True)
class TopicSpec:
    """What a topic is to be.

    Attributes:
        name: the topic.
        schema: the name of its records' schema in `schemas/`; empty for bytes that are no contract (changelogs).
        key: what a record's key is, in UTF-8.
        cleanup: Kafka's `cleanup.policy`.
        retention_ms: how long records are kept, in ms; None: for ever, as the newest of compacted topics are.
        partitions: a number of its own; None: as many as all topics that are keyed by customer.
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
        """The topic's settings as Kafka takes them."""
        retention = -1 if self.retention_ms is None else self.retention_ms
        return {"cleanup.policy": self.cleanup, "retention.ms": str(retention), **self.config}


class TopicMismatch(RuntimeError):
    """Topics exist that are not what they have to be; `problems` says for each what is wrong and what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def ensure_topics(kafka: Mapping[str, Any], specs: Iterable[TopicSpec], partitions: int, replication: int) -> list[str]:
    """Make those of `specs` that are missing, after looking at those that exist; return the names of the new ones.

    Args:
        kafka: librdkafka settings of the cluster.
        specs: the topics.
        partitions: of every topic that has no number of its own.
        replication: replicas of a new topic; with 3 or more, a write needs all but one of them.

    Raises:
        TopicMismatch, KafkaException: as `create_topics`.
    """
    specs = list(specs)
    admin = AdminClient(dict(kafka))
    existing = _partitions(admin)
    _refuse_mismatches(admin, specs, existing, partitions)
    durable = {"min.insync.replicas": str(replication - 1)} if replication >= 3 else {}
    missing = [
        NewTopic(spec.name, spec.partitions or partitions, replication, config={**spec.settings(), **durable})
        for spec in specs
        if spec.name not in existing
    ]
    # A topic made a moment ago may not be listed yet, but the controller knows it: asked first, so that a mismatch with it, too,
    # is found before anything is made.
    known = _create(admin, missing, validate_only=True)
    if known:
        _refuse_mismatches(admin, specs, _await(admin, known), partitions)
    missing = [topic for topic in missing if topic.topic not in known]
    # Two workers that start together make the same topics; the look afterwards says whether they agree.
    known = _create(admin, missing)
    if missing:
        _refuse_mismatches(admin, specs, _await(admin, {topic.topic for topic in missing}), partitions)
    return sorted(topic.topic for topic in missing if topic.topic not in known)


def _create(admin: Any, new: list[Any], validate_only: bool = False) -> set[str]:
    """Make the topics, or only see whether they could be made; return the names of those that were there already."""
    known: set[str] = set()
    if not new:
        return known
    for name, future in admin.create_topics(new, operation_timeout=PATIENCE_S, validate_only=validate_only).items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            known.add(name)
    return known


def _partitions(admin: Any) -> dict[str, int]:
    topics = admin.list_topics(timeout=PATIENCE_S).topics
    return {name: len(topic.partitions) for name, topic in topics.items() if topic.error is None}


def _await(admin: Any, names: set[str]) -> dict[str, int]:
    """Wait until the cluster's metadata has the topics; a broker may learn of them a moment after they were made."""
    deadline = time.monotonic() + PATIENCE_S
    while not names <= (existing := _partitions(admin)).keys():
        if time.monotonic() > deadline:
            missing = ", ".join(sorted(names - existing.keys()))
            raise KafkaException(
                KafkaError(KafkaError._TIMED_OUT, f"made, but not seen after {PATIENCE_S} s: {missing}")
            )
        time.sleep(0.05)
    return existing


def _refuse_mismatches(admin: Any, specs: list[TopicSpec], existing: Mapping[str, int], partitions: int) -> None:
    present = [spec for spec in specs if spec.name in existing]
    cleanups = _cleanups(admin, [spec.name for spec in present])
    problems = []
    for spec in present:
        wanted, found = spec.partitions or partitions, existing[spec.name]
        if found != wanted:
            problems.append(
                f"topic {spec.name} has {found} partitions and must have {wanted}: "
                + (
                    f"set TAKK_PARTITIONS={found} if all topics have {found}; otherwise delete or rename the topic, run "
                    "`takk topics create`, and copy its records over (adding partitions moves customers, so it does not help)"
                    if spec.partitions is None
                    else "delete or rename the topic, run `takk topics create`, and copy its records over"
                )
            )
        cleanup = cleanups[spec.name]
        if cleanup != spec.cleanup:
            problems.append(
                f"topic {spec.name} has cleanup.policy={cleanup} and must have {spec.cleanup}: set it with "
                f"`kafka-configs --alter --topic {spec.name} --add-config cleanup.policy={spec.cleanup}`"
            )
    if problems:
        raise TopicMismatch(problems)


def _cleanups(admin: Any, names: list[str]) -> dict[str, str]:
    if not names:
        return {}
    asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = admin.describe_configs(asked, request_timeout=PATIENCE_S)
    return {resource.name: future.result()["cleanup.policy"].value for resource, future in answers.items()}
