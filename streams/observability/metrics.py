"""All metrics of Takk: a closed list, with help and units. Elsewhere they are moved, never made.

Names are `takk_<noun>_<unit>`; counters end in `_total`. Labels are bounded: a stage, a partition, a flow, a pool that a flow names, an outcome,
a reason of a closed list. Never a customer, an order, an address, a code or free text. `stage` is flows, scheduler, popularity, pools or mailer.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

#: Takk's own registry, so that no library adds names to the list unasked.
REGISTRY: Final = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

WORK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LATENESS_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 86_400)

# The road
RECORDS_IN = Counter(
    "takk_records_in_total", "Records read, by stage and topic.", ["stage", "topic"], registry=REGISTRY
)
RECORDS_OUT = Counter(
    "takk_records_out_total", "Records written in committed transactions, by stage and topic.", ["stage", "topic"], registry=REGISTRY
)  # fmt: skip
BATCH_RECORDS = Histogram(
    "takk_batch_records", "Records in a batch, by stage.", ["stage"],
    buckets=(1, 5, 10, 50, 100, 500, 1000, 2000, 4000, 8000), registry=REGISTRY,
)  # fmt: skip
BATCH_SECONDS = Histogram(
    "takk_batch_seconds", "Time an agent computes on a batch, without its commit.", ["stage"],
    buckets=WORK_SECONDS, registry=REGISTRY,
)  # fmt: skip
COMMIT_SECONDS = Histogram(
    "takk_commit_seconds", "Time from the end of a batch to its transaction being committed.", ["stage"],
    buckets=WORK_SECONDS, registry=REGISTRY,
)  # fmt: skip
LAG_RECORDS = Gauge(
    "takk_lag_records", "Records of the source topics not yet committed, by stage and partition.", ["stage", "partition"], registry=REGISTRY
)  # fmt: skip
LAG_SECONDS = Gauge(
    "takk_lag_seconds",
    "Age of the oldest record read and not committed, or how long a partition with waiting records stands still; 0 when none waits.",
    ["stage", "partition"],
    registry=REGISTRY,
)
LAST_PROGRESS = Gauge(
    "takk_last_progress_timestamp_seconds",
    "Unix time at which a partition last committed or was found to be at the end of its topics.",
    ["stage", "partition"],
    registry=REGISTRY,
)
PARTITIONS = Gauge("takk_assigned_partitions", "Partitions this process owns, by stage.", ["stage"], registry=REGISTRY)
DEAD_LETTERS = Counter(
    "takk_dead_letters_total", "Records given up, by stage and reason.", ["stage", "reason"], registry=REGISTRY
)
REPUBLISHED = Counter(
    "takk_republished_records_total", "Records found under another key or partition than their customer's, and sent on to where they belong.",
    ["stage"], registry=REGISTRY,
)  # fmt: skip

# Restoring
RESTORED = Counter(
    "takk_restored_records_total", "Changelog records read back into tables, by stage.", ["stage"], registry=REGISTRY
)
RESTORE_PROGRESS = Gauge(
    "takk_restore_progress_ratio", "How much of the changelog of newly assigned partitions is restored, 0 to 1.", ["stage"], registry=REGISTRY
)  # fmt: skip
RESTORE_RATE = Gauge(
    "takk_restore_offsets_per_second", "Changelog offsets that a restore does a second; 0 when none goes on.", ["stage"], registry=REGISTRY
)  # fmt: skip
RESTORE_LEFT = Gauge(
    "takk_restore_left_seconds", "Time that a restore still takes at its rate so far; 0 when none goes on.", ["stage"], registry=REGISTRY
)  # fmt: skip
RESTORE_SECONDS = Histogram(
    "takk_restore_seconds", "Time to restore the partitions of one assignment.", ["stage"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600), registry=REGISTRY,
)  # fmt: skip
STANDBY_LAG = Gauge(
    "takk_standby_lag_offsets", "Changelog offsets that this worker's standby copies are behind, all together.", registry=REGISTRY
)  # fmt: skip
STATE_BYTES = Gauge("takk_state_bytes", "Size of a stage's tables on this disk.", ["stage"], registry=REGISTRY)

# Time
TIMERS_PENDING = Gauge(
    "takk_timers_pending", "Timers stored and not yet fired, by partition.", ["partition"], registry=REGISTRY
)
TIMERS_STORED = Counter("takk_timers_stored_total", "Timers taken into the table.", registry=REGISTRY)
TIMERS_FIRED = Counter("takk_timers_fired_total", "Timers fired.", registry=REGISTRY)
TIMER_LATENESS = Histogram(
    "takk_timer_lateness_seconds", "How long after its due time a timer fired.", buckets=LATENESS_SECONDS, registry=REGISTRY
)  # fmt: skip

# Mails
DECISIONS = Counter(
    "takk_decisions_total", "Decisions for or against a mail, by flow, outcome and the rule that decided.",
    ["flow", "outcome", "rule"], registry=REGISTRY,
)  # fmt: skip
MAILS = Counter(
    "takk_mails_total",
    "What became of commands: sent, refused, deferred, expired, unknown.",
    ["flow", "outcome"],
    registry=REGISTRY,
)
SENDS_UNKNOWN = Counter(
    "takk_sends_unknown_total", "Sends found in flight after a crash: the server may or may not have taken them. action: sent_again, given_up.",
    ["flow", "action"], registry=REGISTRY,
)  # fmt: skip
RENDER_SECONDS = Histogram(
    "takk_render_seconds", "Time to render and compose one mail.", ["flow"], buckets=WORK_SECONDS, registry=REGISTRY
)  # fmt: skip
SMTP_SECONDS = Histogram(
    "takk_smtp_seconds", "Time the mail server takes for one mail, by its answer: accepted, refused, deferred, unknown, down.",
    ["outcome"], buckets=WORK_SECONDS, registry=REGISTRY,
)  # fmt: skip
SMTP_PAUSED = Gauge("takk_smtp_paused", "1 while the mailer waits for a mail server that is down.", registry=REGISTRY)
OPENS = Counter(
    "takk_opens_total",
    "Mails opened, by flow and who did: human, privacy_proxy, scanner, unknown.",
    ["flow", "agent"],
    registry=REGISTRY,
)
CLICKS = Counter("takk_clicks_total", "Links followed, by flow and who did.", ["flow", "agent"], registry=REGISTRY)
UNSUBSCRIBES = Counter(
    "takk_unsubscribes_total", "Unsubscriptions, by flow of the mail that led to them.", ["flow"], registry=REGISTRY
)
BOUNCES = Counter("takk_bounces_total", "Mails that came back. kind: hard, soft.", ["flow", "kind"], registry=REGISTRY)
COMPLAINTS = Counter("takk_complaints_total", "Mails called spam.", ["flow"], registry=REGISTRY)
ATTRIBUTED_ORDERS = Counter(
    "takk_attributed_orders_total",
    "Orders placed after a click, within the attribution window.",
    ["flow"],
    registry=REGISTRY,
)
ATTRIBUTED_REVENUE = Counter(
    "takk_attributed_revenue_minor_total", "Revenue of those orders, in minor units of the currency.", ["flow", "currency"], registry=REGISTRY
)  # fmt: skip

# Recommendations
CATALOGUE_PRODUCTS = Gauge("takk_catalogue_products", "Products in the catalogue.", registry=REGISTRY)
POPULARITY_PRODUCTS = Gauge(
    "takk_popularity_products", "Products of which it is known how often they are bought.", registry=REGISTRY
)
CATALOGUE_READ = Gauge(
    "takk_catalogue_read_timestamp_seconds",
    "Unix time at which the catalogue and the counts of popularity were last found to be read to the end of their topics.",
    registry=REGISTRY,
)
CATALOGUE_REFUSED = Counter(
    "takk_catalogue_refused_total", "Records of the catalogue and of popularity that were not believed, by topic and reason.",
    ["topic", "reason"], registry=REGISTRY,
)  # fmt: skip

# Pools of codes. `pool` is one that a flow names, or `other` for all that none does
POOL_CODES = Gauge(
    "takk_pool_codes", "Codes in stock, those that have expired since among them.", ["pool"], registry=REGISTRY
)
POOL_CLAIMS = Gauge(
    "takk_pool_claims",
    "Claims of an empty pool; who gave up is counted as long as somebody who came before waits.",
    ["pool"],
    registry=REGISTRY,
)
CODES_GRANTED = Counter("takk_codes_granted_total", "Codes given out.", ["pool"], registry=REGISTRY)
CODES_EXPIRED = Counter(
    "takk_codes_expired_total", "Codes that were no longer good when their turn came.", ["pool"], registry=REGISTRY
)

# The process
LOOP_LAG = Gauge("takk_loop_lag_seconds", "How late the event loop's last heartbeat was.", registry=REGISTRY)

#: The closed list.
ALL: Final[tuple[MetricWrapperBase, ...]] = (
    RECORDS_IN, RECORDS_OUT, BATCH_RECORDS, BATCH_SECONDS, COMMIT_SECONDS, LAG_RECORDS, LAG_SECONDS, LAST_PROGRESS, PARTITIONS,
    DEAD_LETTERS, REPUBLISHED, RESTORED, RESTORE_PROGRESS, RESTORE_RATE, RESTORE_LEFT, RESTORE_SECONDS, STANDBY_LAG, STATE_BYTES,
    TIMERS_PENDING, TIMERS_STORED, TIMERS_FIRED, TIMER_LATENESS, DECISIONS, MAILS, SENDS_UNKNOWN, RENDER_SECONDS, SMTP_SECONDS, SMTP_PAUSED,
    OPENS, CLICKS, UNSUBSCRIBES, BOUNCES, COMPLAINTS, ATTRIBUTED_ORDERS, ATTRIBUTED_REVENUE, CATALOGUE_PRODUCTS, POPULARITY_PRODUCTS,
    CATALOGUE_READ, CATALOGUE_REFUSED, POOL_CODES, POOL_CLAIMS, CODES_GRANTED, CODES_EXPIRED, LOOP_LAG,
)  # fmt: skip


#: The media type of `page`.
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


def page() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
