"""The topics: their names, what lies on them, how long, and how they are made."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from streams.runtime.kafka.limits import LARGEST_BYTES

ORDERS = "orders"
SHIPMENTS = "shipments"
ENGAGEMENT = "email-engagement"
CUSTOMERS = "customers"
BROWSING = "browsing"
PRESSURE = "contact-pressure"
PRODUCTS = "products"
POPULARITY = "product-popularity"
DELAYS = "flow-delays"
DUE = "flow-due"
COMMANDS = "email-commands"
EVENTS = "email-events"
ATTRIBUTED = "attributed-engagement"
DECISIONS = "flow-decisions"
REWARDS = "rewards"
CODES = "discount-codes"
CLAIMS = "code-claims"
GRANTS = "code-grants"
CLAIM_WITHDRAWALS = "claim-withdrawals"
SIGNALS = "flow-signals"
WITHDRAWALS = "email-withdrawals"
SALES = "product-sales"
DEAD_LETTERS = "dead-letters"
CHECKPOINTS = "flow-checkpoints"

DAY_MS = 86_400_000
#: A quarter and some: flows are tried out on last quarter's topics.
QUARTER = 100 * DAY_MS
#: How long a command can lie unread; what withdraws it lies as long.
COMMANDS_KEPT = timedelta(days=30)
COMMANDS_KEPT_MS = COMMANDS_KEPT // timedelta(milliseconds=1)
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


def _kept(
    name: str,
    schema: str,
    retention_ms: int = QUARTER,
    key: str = "customer_id",
    config: Mapping[str, str] | None = None,
) -> TopicSpec:
    return TopicSpec(name=name, schema=schema, key=key, retention_ms=retention_ms, config=config or {})


_LARGE = {"max.message.bytes": str(LARGEST_BYTES)}
TOPICS: tuple[TopicSpec, ...] = (
    _kept(ORDERS, "order"),
    _kept(SHIPMENTS, "shipment"),
    _kept(ENGAGEMENT, "engagement"),
    TopicSpec(name=CUSTOMERS, schema="customer", key="customer_id", cleanup="compact"),
    _kept(BROWSING, "browsing"),
    _kept(PRESSURE, "contact_pressure"),
    # Every worker reads it whole, so it is not spread.
    TopicSpec(name=PRODUCTS, schema="product", key="sku", cleanup="compact", partitions=1),
    TopicSpec(name=POPULARITY, schema="popularity", key="sku/partition", cleanup="compact"),
    # The scheduler keeps timers in its own table; here they need to outlive only its longest outage.
    _kept(DELAYS, "timer", 30 * DAY_MS, config=_LARGE),
    _kept(DUE, "timer", 30 * DAY_MS, config=_LARGE),
    _kept(COMMANDS, "email_command", COMMANDS_KEPT_MS, config=_LARGE),
    _kept(EVENTS, "email_event"),
    _kept(ATTRIBUTED, "attributed_engagement"),
    _kept(DECISIONS, "flow_decision"),
    _kept(REWARDS, "reward"),
    # For ever: the pools stage keeps what it has read in its own table, but it starts only when a flow takes codes from a pool, and nobody
    # knows when that is. A shop has some hundred thousand codes, not billions.
    TopicSpec(name=CODES, schema="discount_code", key="pool"),
    # As for timers: a claim needs to outlive only the pools stage's longest outage.
    _kept(CLAIMS, "code_claim", 30 * DAY_MS, key="pool"),
    _kept(CLAIM_WITHDRAWALS, "claim_withdrawal", 30 * DAY_MS, key="pool"),
    _kept(GRANTS, "code_grant"),
    _kept(SIGNALS, "signal"),
    _kept(WITHDRAWALS, "withdrawal", COMMANDS_KEPT_MS),
    _kept(SALES, "sales", 30 * DAY_MS),
    _kept(DEAD_LETTERS, "dead_letter", key="original key", config=_LARGE),
    _kept(CHECKPOINTS, "checkpoint", key="agent/partition"),
)
#: Topic -> the name of its schema.
SCHEMA_OF: dict[str, str] = {spec.name: spec.schema for spec in TOPICS}


def subjects() -> dict[str, list[str]]:
    """Schema name -> the subjects to register it under in a schema registry: `<topic>-value` for each of its topics."""
    found: dict[str, list[str]] = {}
    for spec in TOPICS:
        found.setdefault(spec.schema, []).append(f"{spec.name}-value")
    return found


def changelog_spec(name: str) -> TopicSpec:
    """The topic behind a table: compacted, and tombstones are kept for a day, which restoring counts on."""
    return TopicSpec(
        name=name,
        schema="",
        key="the table's key",
        cleanup="compact",
        config={"delete.retention.ms": str(DAY_MS), **_LARGE},
    )


class TopicSettings(Protocol):
    """What is needed of the settings to make topics."""

    @property
    def partitions(self) -> int:
        """Partitions of every topic keyed by customer."""

    @property
    def replication(self) -> int:
        """Replicas of every topic."""

    def kafka(self) -> dict[str, str]:
        """librdkafka settings of the cluster."""


class TopicMismatch(RuntimeError):
    """Topics exist that are not what they have to be; `problems` says for each what is wrong and what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def create_topics(settings: TopicSettings, changelogs: Iterable[str] = ()) -> list[str]:
    """Make the topics that are missing; return their names. Doing it again changes nothing.

    Args:
        settings: cluster, partitions and replicas.
        changelogs: names of changelog topics to make as well.

    Raises:
        TopicMismatch: a topic exists with other partitions or another cleanup; nothing was made.
        KafkaException: the cluster cannot be reached or refuses.
    """
    specs = [*TOPICS, *map(changelog_spec, changelogs)]
    return ensure_topics(settings.kafka(), specs, settings.partitions, settings.replication)


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
