"""The topics: their names, what lies on them, how long, and how they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Protocol

from streams.runtime.kafka.limits import LARGEST_BYTES
from streams.runtime.kafka.topic_admin import TopicSpec, ensure_topics

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
