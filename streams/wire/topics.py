"""The topics: names, schemas, keys and retention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from streams.runtime.kafka.limits import DEFAULT_TOPIC_BYTES, MAX_RECORD_BYTES
from streams.runtime.kafka.retention import days_by_topic
from streams.runtime.kafka.topic_admin import TopicMismatch, TopicSpec, ensure_topics

ORDERS = "orders"
SHIPMENTS = "shipments"
ENGAGEMENT = "email-engagement"
CUSTOMERS = "customers"
HANDOVERS = "customer-handovers"
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
INTERESTS = "product-interests"
PRODUCT_CHANGES = "product-changes"
ADDRESS_EVENTS = "address-events"
SUPPRESSIONS = "suppressions"
HEARTBEATS = "heartbeats"
DEAD_LETTERS = "dead-letters"
CHECKPOINTS = "flow-checkpoints"
CLOCK_PROBES = "clock-probes"
CRASH_NOTES = "crash-notes"
CUSTOMER_PAGES = "customer-pages"
PUBLISHED_TEMPLATES = "published-templates"
REQUESTS = "customer-requests"
REVIEWS = "reviews"
REORDERS = "reorders"
CONTEST_ENTRIES = "contest-entries"

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


#: How soon the broker compacts a record that was replaced or deleted, also in a topic that is rarely written, where it would otherwise wait for
#: the segment to fill. The data of an erased customer is gone by then.
COMPACTION_LAG = timedelta(days=7)
_COMPACTED_SOON = {"max.compaction.lag.ms": str(COMPACTION_LAG // timedelta(milliseconds=1))}
_LARGE = {"max.message.bytes": str(MAX_RECORD_BYTES)}
TOPICS: tuple[TopicSpec, ...] = (
    _retained(ORDERS, "order"),
    _retained(SHIPMENTS, "shipment"),
    _retained(ENGAGEMENT, "engagement"),
    TopicSpec(name=CUSTOMERS, schema="customer", key="customer_id", cleanup="compact", config=_COMPACTED_SOON),
    # As for timers. A hand-over contains the whole state of a customer.
    _retained(HANDOVERS, "customer_handover", 30 * DAY_MS, config=_LARGE),
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
    # As for sales: the catalogue stage stores what it reads.
    _retained(INTERESTS, "product_interest", 30 * DAY_MS, key="sku"),
    _retained(PRODUCT_CHANGES, "product_change", 30 * DAY_MS),
    # As for timers: the suppressions stage stores what it reads. Keyed hashes of addresses, never the addresses.
    _retained(ADDRESS_EVENTS, "address_event", 30 * DAY_MS, key="address hash"),
    # Kept permanently, at some hundred bytes per address: a refusal holds without end, also after the customer's data was deleted.
    TopicSpec(name=SUPPRESSIONS, schema="suppression", key="address hash", cleanup="compact"),
    _retained(HEARTBEATS, "heartbeat", DAY_MS, key="heartbeat-<number>"),
    # No longer than the topics that the records come from: see `specs`.
    _retained(DEAD_LETTERS, "dead_letter", 30 * DAY_MS, key="original key", config=_LARGE),
    _retained(CHECKPOINTS, "checkpoint", key="agent/partition"),
    # Each process writes one record at its start. The broker answers with its own time, which is all that the topic is for.
    _retained(CLOCK_PROBES, "heartbeat", DAY_MS, key="host", config={"message.timestamp.type": "LogAppendTime"}),
    # One partition, because every process reads the whole topic when it takes over partitions.
    TopicSpec(name=CRASH_NOTES, schema="crash_note", key="stage/partition", cleanup="compact", partitions=1),
    # One partition, because every process reads the whole topic: one record.
    TopicSpec(name=PUBLISHED_TEMPLATES, schema="published_templates", key="app id", cleanup="compact", partitions=1),
    TopicSpec(
        name=CUSTOMER_PAGES, schema="customer_page", key="customer_id", cleanup="compact", config=_COMPACTED_SOON
    ),
    _retained(REQUESTS, "customer_request"),
    # The gateway writes them for services downstream.
    _retained(REVIEWS, "review"),
    _retained(REORDERS, "reorder"),
    _retained(CONTEST_ENTRIES, "contest_entry"),
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
        HANDOVERS,
        BROWSING,
        PRESSURE,
        DUE,
        EVENTS,
        GRANTS,
        DELAYS,
        COMMANDS,
        HEARTBEATS,
        SALES,
        INTERESTS,
        PRODUCT_CHANGES,
        ADDRESS_EVENTS,
        REQUESTS,
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
    """Return the topic of a table's changelog: compacted within a week, with tombstones kept for a day, which restoring relies on."""
    config = {"delete.retention.ms": str(DAY_MS), **_COMPACTED_SOON, **_LARGE}
    if name.endswith(SENDS_CHANGELOG):
        # The next owner looks for sends that were acknowledged and not committed. Compaction deletes uncommitted records at once.
        config["min.compaction.lag.ms"] = str(DAY_MS)
    return TopicSpec(name=name, schema="", key="the table's key", cleanup="compact", config=config)


#: The topics whose retention dead letters follow: those with personal data that is deleted by time.
LETTER_SOURCES = STAGE_INPUTS - {HEARTBEATS, CUSTOMERS, CODES}


def specs(retention: str = "") -> tuple[TopicSpec, ...]:
    """Return the topics with their retention. Dead letters are kept no longer than the shortest of their sources.

    Args:
        retention: the setting: days by topic.

    Raises:
        TopicMismatch: a topic is unknown or is not deleted by time, or the days would break what the mailer relies on.
    """
    days = days_by_topic(retention)
    problems = [
        f"TAKK_TOPIC_RETENTION: {name} is not one of the topics that are deleted by time ({', '.join(sorted(_BY_TIME))})"
        for name in days
        if name not in _BY_TIME
    ]
    longest = COMMANDS_RETENTION.days
    if days.get(COMMANDS, longest) > longest:
        problems.append(
            f"TAKK_TOPIC_RETENTION: {COMMANDS} is kept for at most {longest} days: the send ledger prevents a second delivery no longer"
        )
    if days.get(WITHDRAWALS, longest) < days.get(COMMANDS, longest):
        problems.append(
            f"TAKK_TOPIC_RETENTION: {WITHDRAWALS} is kept at least as long as {COMMANDS}: otherwise withdrawn emails are sent"
        )
    if problems:
        raise TopicMismatch(problems)
    retained = {spec.name: days.get(spec.name, 0) * DAY_MS or spec.retention_ms for spec in TOPICS}
    letters = min(ms for name, ms in retained.items() if ms and name in LETTER_SOURCES | {DEAD_LETTERS})
    return tuple(
        [replace(spec, retention_ms=letters if spec.name == DEAD_LETTERS else retained[spec.name]) for spec in TOPICS]
    )


_BY_TIME = frozenset(spec.name for spec in TOPICS if spec.retention_ms is not None)


class TopicSettings(Protocol):
    """The settings that creating topics needs."""

    @property
    def topic_retention(self) -> str:
        """Days that new topics keep their records, by topic."""

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
        TopicMismatch: a topic exists with other partitions or another cleanup policy, or accepts too small records only, or the retention
            is invalid. No topic was created.
        KafkaException: the cluster is unreachable or refuses a request.
    """
    wanted = [*specs(settings.topic_retention), *map(changelog_spec, changelogs)]
    return ensure_topics(settings.kafka(), wanted, settings.partitions, settings.replication)
