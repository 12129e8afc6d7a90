"""The topics: names, schemas, keys and retention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Protocol

from streams.runtime.kafka.limits import DEFAULT_TOPIC_BYTES, MAX_RECORD_BYTES
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
ADDRESS_EVENTS = "address-events"
SUPPRESSIONS = "suppressions"
HEARTBEATS = "heartbeats"
DEAD_LETTERS = "dead-letters"
CHECKPOINTS = "flow-checkpoints"
CLOCK_PROBES = "clock-probes"
CRASH_NOTES = "crash-notes"

#: Header of `email-commands`: when the email became due, in milliseconds since 1970 as decimal text. Only metrics depend on it.
DUE_AT_HEADER = "takk_due_at"

#: End of the name of the send ledger's changelog.
SENDS_CHANGELOG = "-sends-changelog"

DAY_MS = 86_400_000
#: A little more than a quarter, so that flows can be simulated with the records of the last quarter.
QUARTER_MS = 100 * DAY_MS
#: Retention of commands, and of the records that withdraw them.
COMMANDS_RETENTION = timedelta(days=30)
COMMANDS_RETENTION_MS = COMMANDS_RETENTION // timedelta(milliseconds=1)


def _retained(
    name: str,
    schema: str,
    retention_ms: int = QUARTER_MS,
    key: str = "customer_id",
    config: Mapping[str, str] | None = None,
) -> TopicSpec:
    return TopicSpec(name=name, schema=schema, key=key, retention_ms=retention_ms, config=config or {})


_LARGE = {"max.message.bytes": str(MAX_RECORD_BYTES)}
TOPICS: tuple[TopicSpec, ...] = (
    _retained(ORDERS, "order"),
    _retained(SHIPMENTS, "shipment"),
    _retained(ENGAGEMENT, "engagement"),
    TopicSpec(name=CUSTOMERS, schema="customer", key="customer_id", cleanup="compact"),
    _retained(BROWSING, "browsing"),
    _retained(PRESSURE, "contact_pressure"),
    # One partition, because every worker reads the whole topic.
    TopicSpec(name=PRODUCTS, schema="product", key="sku", cleanup="compact", partitions=1),
    TopicSpec(name=POPULARITY, schema="popularity", key="sku/partition", cleanup="compact"),
    # The scheduler stores timers in its own table. The topic must keep them for its longest outage only.
    _retained(DELAYS, "timer", 30 * DAY_MS, config=_LARGE),
    _retained(DUE, "timer", 30 * DAY_MS, config=_LARGE),
    _retained(COMMANDS, "email_command", COMMANDS_RETENTION_MS, config=_LARGE),
    _retained(EVENTS, "email_event"),
    _retained(ATTRIBUTED, "attributed_engagement"),
    _retained(DECISIONS, "flow_decision"),
    _retained(REWARDS, "reward"),
    # Kept permanently: the pools stage stores the codes in its own table, but it first runs when a flow uses a pool, which may be years
    # later. A shop has hundreds of thousands of codes, not billions.
    TopicSpec(name=CODES, schema="discount_code", key="pool"),
    # As for timers: the topic must keep a claim for the longest outage of the pools stage only.
    _retained(CLAIMS, "code_claim", 30 * DAY_MS, key="pool"),
    _retained(CLAIM_WITHDRAWALS, "claim_withdrawal", 30 * DAY_MS, key="pool"),
    _retained(GRANTS, "code_grant"),
    _retained(SIGNALS, "signal"),
    _retained(WITHDRAWALS, "withdrawal", COMMANDS_RETENTION_MS),
    _retained(SALES, "sales", 30 * DAY_MS),
    # As for timers: the suppressions stage stores what it reads. Keyed hashes of addresses, never the addresses.
    _retained(ADDRESS_EVENTS, "address_event", 30 * DAY_MS, key="address hash"),
    # Kept permanently, at some hundred bytes per address: a refusal holds without end, also after the customer's data was deleted.
    TopicSpec(name=SUPPRESSIONS, schema="suppression", key="address hash", cleanup="compact"),
    _retained(HEARTBEATS, "heartbeat", DAY_MS, key="heartbeat-<number>"),
    _retained(DEAD_LETTERS, "dead_letter", key="original key", config=_LARGE),
    _retained(CHECKPOINTS, "checkpoint", key="agent/partition"),
    # Each process writes one record at its start. The broker answers with its own time, which is all that the topic is for.
    _retained(CLOCK_PROBES, "heartbeat", DAY_MS, key="host", config={"message.timestamp.type": "LogAppendTime"}),
    # One partition, because every process reads the whole topic when it takes over partitions.
    TopicSpec(name=CRASH_NOTES, schema="crash_note", key="stage/partition", cleanup="compact", partitions=1),
)
#: The topic with the installation that uses an app id: names as UTF-8, without a schema. It exists where TAKK_INSTALLATION is set.
INSTALLATION = TopicSpec(name="takk-installation", schema="", key="app id", cleanup="compact", partitions=1)
#: Topic -> bytes of a record that it accepts at least.
RECORD_LIMITS: dict[str, int] = {
    spec.name: int(spec.config.get("max.message.bytes", DEFAULT_TOPIC_BYTES)) for spec in TOPICS
}
#: Topic -> name of its schema.
SCHEMA_OF: dict[str, str] = {spec.name: spec.schema for spec in TOPICS}

#: The topics that a stage reads: the only ones that dead letters come from, and that they can be replayed to.
STAGE_INPUTS = frozenset(
    {
        ORDERS,
        SHIPMENTS,
        ENGAGEMENT,
        CUSTOMERS,
        BROWSING,
        PRESSURE,
        DUE,
        EVENTS,
        GRANTS,
        DELAYS,
        COMMANDS,
        HEARTBEATS,
        SALES,
        ADDRESS_EVENTS,
    }
    | {CODES, CLAIMS, CLAIM_WITHDRAWALS}
)


def subjects() -> dict[str, list[str]]:
    """Return the schema registry's subjects of each schema by name: `<topic>-value` for each of its topics."""
    subjects: dict[str, list[str]] = {}
    for spec in TOPICS:
        subjects.setdefault(spec.schema, []).append(f"{spec.name}-value")
    return subjects


def changelog_spec(name: str) -> TopicSpec:
    """Return the topic of a table's changelog: compacted, with tombstones kept for a day, which restoring relies on."""
    config = {"delete.retention.ms": str(DAY_MS), **_LARGE}
    if name.endswith(SENDS_CHANGELOG):
        # The next owner looks for sends that were acknowledged and not committed. Compaction deletes uncommitted records at once.
        config["min.compaction.lag.ms"] = str(DAY_MS)
    return TopicSpec(name=name, schema="", key="the table's key", cleanup="compact", config=config)


class TopicSettings(Protocol):
    """The settings that creating topics needs."""

    @property
    def partitions(self) -> int:
        """Number of partitions of every topic keyed by customer."""

    @property
    def replication(self) -> int:
        """Number of replicas of every topic."""

    def kafka(self) -> dict[str, str]:
        """Return the librdkafka settings of the cluster."""


def create_topics(settings: TopicSettings, changelogs: Iterable[str] = ()) -> list[str]:
    """Create the missing topics and return their names. Existing topics are not changed.

    Args:
        settings: the cluster, partitions and replicas.
        changelogs: names of changelog topics to create as well.

    Raises:
        TopicMismatch: a topic exists with other partitions or another cleanup policy, or accepts too small records only. No topic was
            created.
        KafkaException: the cluster is unreachable or refuses a request.
    """
    specs = [*TOPICS, *map(changelog_spec, changelogs)]
    return ensure_topics(settings.kafka(), specs, settings.partitions, settings.replication)
