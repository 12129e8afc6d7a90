"""All metrics of Takk: a closed list, with help texts and units. Other modules only set and increment them.

Names are `takk_<noun>_<unit>`; counters end in `_total`. Label values are bounded: a stage, a partition, a flow or one of its messages, a
pool that a flow uses, a currency, a route, an outcome, or a reason from a closed list. They never contain a customer, an order, an address, a
code or free text. `stage` is flows, scheduler, popularity, pools, suppressions or mailer. A process exports the series that it can change as 0 from
its start: see `agents/zeros.py`.
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
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

# Otherwise every counter and histogram would have one more series, with the time of its creation. Nothing needs it.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library does not type it

#: Takk's own registry, so that no library can add metrics to it.
REGISTRY: Final = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

WORK_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LATENESS_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 86_400)
#: They contain 300, the objective of the handover: 99 % within 5 minutes.
HANDOVER_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400)

# Processing
RECORDS_IN = Counter(
    "takk_records_in_total", "Records read, by stage and topic.", ["stage", "topic"], registry=REGISTRY
)
RECORDS_OUT = Counter(
    "takk_records_out_total", "Records written in committed transactions, by stage and topic.", ["stage", "topic"], registry=REGISTRY
)  # fmt: skip
BATCH_RECORDS = Histogram(
    "takk_batch_records", "Records per batch, by stage.", ["stage"],
    buckets=(1, 5, 10, 50, 100, 500, 1000, 2000, 4000, 8000), registry=REGISTRY,
)  # fmt: skip
BATCH_SECONDS = Histogram(
    "takk_batch_seconds", "Time to process a batch, without its commit, by stage.", ["stage"],
    buckets=WORK_SECONDS, registry=REGISTRY,
)  # fmt: skip
COMMIT_SECONDS = Histogram(
    "takk_commit_seconds", "Time from the end of processing to the committed transaction, by stage.", ["stage"],
    buckets=WORK_SECONDS, registry=REGISTRY,
)  # fmt: skip
LAG_RECORDS = Gauge(
    "takk_lag_records", "Records of the source topics not yet committed, by stage and partition.", ["stage", "partition"], registry=REGISTRY
)  # fmt: skip
LAG_SECONDS = Gauge(
    "takk_lag_seconds",
    "Age of the oldest record read and not committed, or time since a partition with unread records last advanced; 0 without such records.",
    ["stage", "partition"],
    registry=REGISTRY,
)
LAST_PROGRESS = Gauge(
    "takk_last_progress_timestamp_seconds",
    "Unix time at which a partition last committed or had no unread records.",
    ["stage", "partition"],
    registry=REGISTRY,
)
STAGE_PROGRESS = Gauge(
    "takk_stage_progress_timestamp_seconds",
    "The oldest takk_last_progress_timestamp_seconds of the stage's partitions in this process; until it has one, its start.",
    ["stage"],
    registry=REGISTRY,
)
PARTITIONS = Gauge(
    "takk_assigned_partitions", "Partitions that this process owns, by stage.", ["stage"], registry=REGISTRY
)
STAGE_PARTITIONS = Gauge(
    "takk_stage_partitions",
    "Partitions that all processes of the stage own together, as set by TAKK_PARTITIONS. Compare it with takk_assigned_partitions.",
    ["stage"],
    registry=REGISTRY,
)
REBALANCES = Counter(
    "takk_rebalances_total", "Assignments of partitions to this process, including the first one.", registry=REGISTRY
)
DEAD_LETTERS = Counter(
    "takk_dead_letters_total",
    "Records written to dead-letters in committed transactions, by stage and reason.",
    ["stage", "reason"],
    registry=REGISTRY,
)
REPUBLISHED = Counter(
    "takk_republished_records_total", "Records with a wrong key or partition, published again under the customer's key.",
    ["stage"], registry=REGISTRY,
)  # fmt: skip

# Restore
RESTORED = Counter(
    "takk_restored_records_total", "Changelog records restored to tables, by stage.", ["stage"], registry=REGISTRY
)
RESTORE_PROGRESS = Gauge(
    "takk_restore_progress_ratio", "Restored share of the changelog of newly assigned partitions, 0 to 1.", ["stage"], registry=REGISTRY
)  # fmt: skip
RESTORE_RATE = Gauge(
    "takk_restore_offsets_per_second", "Changelog offsets restored per second; 0 if no restore is running.", ["stage"], registry=REGISTRY
)  # fmt: skip
RESTORE_LEFT = Gauge(
    "takk_restore_left_seconds", "Estimated time until a restore is done; 0 if no restore is running.", ["stage"], registry=REGISTRY
)  # fmt: skip
RESTORE_SECONDS = Histogram(
    "takk_restore_seconds", "Time to restore the partitions of one assignment, by stage.", ["stage"],
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600), registry=REGISTRY,
)  # fmt: skip
STATE_QUARANTINED = Counter(
    "takk_state_quarantined_total",
    "Damaged stores that were moved away and are restored from their changelogs, by stage.",
    ["stage"],
    registry=REGISTRY,
)
RECORDS_LOST = Counter(
    "takk_records_lost_total",
    "Offsets of input topics that Kafka deleted before the stage read them, by stage and topic.",
    ["stage", "topic"],
    registry=REGISTRY,
)
STANDBY_ERRORS = Counter(
    "takk_standby_errors_total",
    "Errors that stopped the replication of standbys for a moment; it is retried.",
    registry=REGISTRY,
)
STANDBY_LAG = Gauge(
    "takk_standby_lag_offsets", "Changelog offsets by which the standbys of this worker are behind, in total.", registry=REGISTRY
)  # fmt: skip
STATE_BYTES = Gauge(
    "takk_state_bytes", "Size of the tables, by stage: files on disk, and recent writes in memory.", ["stage"], registry=REGISTRY
)  # fmt: skip
DISK_FREE = Gauge(
    "takk_disk_free_bytes", "Free space that this process may use on the volume of TAKK_STATE_DIR.", registry=REGISTRY
)
DISK_SIZE = Gauge("takk_disk_size_bytes", "Size of the volume of TAKK_STATE_DIR.", registry=REGISTRY)

# Timers
TIMERS_PENDING = Gauge(
    "takk_timers_pending", "Timers stored and not yet fired, by partition.", ["partition"], registry=REGISTRY
)
TIMERS_STORED = Counter(
    "takk_timers_stored_total", "Timers stored in the table, heartbeats included.", registry=REGISTRY
)
TIMERS_FIRED = Counter("takk_timers_fired_total", "Timers fired, heartbeats included.", registry=REGISTRY)
TIMER_LATENESS = Histogram(
    "takk_timer_lateness_seconds", "Time between the due time of a timer and its firing.", buckets=LATENESS_SECONDS, registry=REGISTRY
)  # fmt: skip

# Walks over the stored customers
WALK_VISITS = Counter("takk_walk_visits_total", "Customers visited by walks.", registry=REGISTRY)
WALK_STARTS = Counter("takk_walk_starts_total", "Timers that walks scheduled.", registry=REGISTRY)
WALK_FAILURES = Counter(
    "takk_walk_failures_total", "Customers about whom a walk could not decide, because of an error.", registry=REGISTRY
)
WALK_LEFT = Gauge(
    "takk_walk_left", "Customers that the running walks have still to visit, estimated, by partition.", ["partition"], registry=REGISTRY
)  # fmt: skip

# Emails
DECISIONS = Counter(
    "takk_decisions_total", "Decisions for or against an email, by flow, outcome and deciding rule.",
    ["flow", "outcome", "rule"], registry=REGISTRY,
)  # fmt: skip
MAILS = Counter(
    "takk_mails_total",
    "Send commands, by flow and outcome: sent, refused, deferred, expired, suppressed, unknown.",
    ["flow", "outcome"],
    registry=REGISTRY,
)
HANDOVER = Histogram(
    "takk_handover_seconds",
    "Time from an email's due time (its triggering record, or its timer) to its acceptance by the mail server, by flow.",
    ["flow"], buckets=HANDOVER_SECONDS, registry=REGISTRY,
)  # fmt: skip
ORDER_TO_EMAIL = Histogram(
    "takk_order_to_email_seconds",
    "Time from an order to the acceptance of an email about it by the mail server, for emails of purpose order, by flow.",
    ["flow"], buckets=HANDOVER_SECONDS, registry=REGISTRY,
)  # fmt: skip
MESSAGES = Counter(
    "takk_messages_total",
    "Send commands, by flow, message and outcome: sent, refused, deferred, expired, suppressed, unknown.",
    ["flow", "message", "outcome"],
    registry=REGISTRY,
)
MAIL_RULES = Counter(
    "takk_mail_rules_total",
    "Send commands, by flow, outcome and the rule of the mailer that decided it: accepted, sent_again (sent); 4xx, refused_us, no_answer, "
    "newer_templates, example_brand (deferred); 5xx, gave_up, unrenderable, unsendable, incorrect_document, crashed, failed (refused); "
    "not_after (expired); withdrawn, too_few_products, address_suppressed, address_cap, address_limit, example_brand (suppressed); "
    "in_flight_after_crash, connection_lost, failed, and the rules of a second copy that is not sent (unknown).",
    ["flow", "outcome", "rule"],
    registry=REGISTRY,
)
WITHDRAWALS = Counter(
    "takk_withdrawals_total",
    "Withdrawn emails. outcome: in_time (the mailer did not send it), too_late (the mail server had accepted it before the mailer read the "
    "withdrawal). Withdrawals that a mailer reads while it starts are not counted as too late.",
    ["outcome"],
    registry=REGISTRY,
)
WITHDRAWALS_READ = Gauge(
    "takk_withdrawals_read_timestamp_seconds",
    "Unix time at which the mailer last read the withdrawals to the end of their topic; 0 before its first batch. It checks every 10 s.",
    registry=REGISTRY,
)
SUPPRESSIONS_READ = Gauge(
    "takk_suppressions_read_timestamp_seconds",
    "Unix time at which the mailer last read the suppressed addresses to the end of their topic; 0 before its first batch, and without "
    "TAKK_ADDRESS_SECRET. It checks every 10 s.",
    registry=REGISTRY,
)
SUPPRESSED_ADDRESSES = Gauge(
    "takk_suppressed_addresses", "Addresses that refuse emails of a purpose, whichever customer ids use them.", registry=REGISTRY
)  # fmt: skip
SENDS_UNKNOWN = Counter(
    "takk_sends_unknown_total", "Sends in flight during a crash, which the mail server may have accepted. action: sent_again, given_up.",
    ["flow", "action"], registry=REGISTRY,
)  # fmt: skip
RENDER_SECONDS = Histogram(
    "takk_render_seconds", "Time to render and compose an email, by flow.", ["flow"], buckets=WORK_SECONDS, registry=REGISTRY
)  # fmt: skip
RENDERERS = Gauge("takk_renderers", "Renderer processes of the mailer that are ready.", registry=REGISTRY)
RENDERER_BUSY = Counter(
    "takk_renderer_busy_seconds_total", "Time that the renderer processes of the mailer have spent on emails, together.", registry=REGISTRY
)  # fmt: skip
RENDERER_RESTARTS = Counter(
    "takk_renderer_restarts_total",
    "Renderer processes that the mailer started again. reason: ended (by an error or a signal), silent (ended by the mailer, because it "
    "returned nothing for a minute).",
    ["reason"],
    registry=REGISTRY,
)
SMTP_SECONDS = Histogram(
    "takk_smtp_seconds", "Time until the mail server answers for an email, by its answer: accepted, refused, deferred, unknown, down.",
    ["outcome"], buckets=WORK_SECONDS, registry=REGISTRY,
)  # fmt: skip
SMTP_PAUSED = Gauge(
    "takk_smtp_paused", "1 while the mail server is unavailable and the mailer pauses.", registry=REGISTRY
)
SMTP_ANSWERS = Counter(
    "takk_smtp_answers_total",
    "Emails offered to the mail server, by provider of the recipient and answer. provider: gmail, microsoft, yahoo, apple, gmx_webde, other. "
    "outcome: accepted, refused, deferred, unknown, down.",
    ["provider", "outcome"],
    registry=REGISTRY,
)
SMTP_REFUSALS = Counter(
    "takk_smtp_refusals_total",
    "Refusals by the mail server, by provider of the recipient and reason. kind: permanent (5xx), temporary (4xx). reason: no_mailbox, "
    "no_domain, mailbox_full, mailbox_disabled, sender_authentication, sender_alignment, no_tls, spam_rate, rate_limited, policy, too_large, "
    "server_trouble, other.",
    ["provider", "reason", "kind"],
    registry=REGISTRY,
)
SMTP_CONNECTIONS = Gauge("takk_smtp_connections", "Open connections to the mail server.", registry=REGISTRY)
SMTP_CONNECTIONS_LIMIT = Gauge(
    "takk_smtp_connections_limit",
    "Connections that this mailer may open, as set by SMTP_CONNECTIONS.",
    registry=REGISTRY,
)

# Engagement
ENGAGEMENT = Counter(
    "takk_engagement_total",
    "Engagement with emails, by flow, message and agent. kind: delivered, opened, clicked, unsubscribed, complained, bounced, answered, "
    "ordered, ordered_held_out (an order by a customer of the control group). agent: human, privacy_proxy, scanner, unknown; for kinds other "
    "than opened and clicked it is unknown.",
    ["flow", "message", "kind", "agent"],
    registry=REGISTRY,
)
ENGAGED_EMAILS = Counter(
    "takk_engaged_emails_total",
    "Emails opened or clicked for the first time, by flow, message and agent. Each email counts once per kind. kind: opened (agent human or "
    "unknown), clicked (agent human). Opens by machines do not count.",
    ["flow", "message", "kind", "agent"],
    registry=REGISTRY,
)
OPENS = Counter(
    "takk_opens_total",
    "Emails opened, by flow and agent: human, privacy_proxy, scanner, unknown.",
    ["flow", "agent"],
    registry=REGISTRY,
)
CLICKS = Counter("takk_clicks_total", "Links clicked, by flow and agent.", ["flow", "agent"], registry=REGISTRY)
UNSUBSCRIBES = Counter(
    "takk_unsubscribes_total", "Unsubscriptions, by flow of the email that led to them.", ["flow"], registry=REGISTRY
)
BOUNCES = Counter(
    "takk_bounces_total", "Bounced emails, by flow. kind: hard, soft.", ["flow", "kind"], registry=REGISTRY
)
COMPLAINTS = Counter("takk_complaints_total", "Emails reported as spam, by flow.", ["flow"], registry=REGISTRY)
ATTRIBUTED_ORDERS = Counter(
    "takk_attributed_orders_total",
    "Orders placed after a click, within the attribution window, by flow.",
    ["flow"],
    registry=REGISTRY,
)
ATTRIBUTED_REVENUE = Counter(
    "takk_attributed_revenue_minor_total", "Revenue of attributed orders in minor units, by flow and currency (ISO 4217, or other).",
    ["flow", "currency"], registry=REGISTRY,
)  # fmt: skip
ATTRIBUTED_MESSAGE_REVENUE = Counter(
    "takk_attributed_message_revenue_minor_total",
    "Revenue of attributed orders in minor units, by flow, message and currency (ISO 4217, or other).",
    ["flow", "message", "currency"],
    registry=REGISTRY,
)

# Recommendations
CATALOGUE_PRODUCTS = Gauge("takk_catalogue_products", "Products in the catalogue.", registry=REGISTRY)
POPULARITY_PRODUCTS = Gauge("takk_popularity_products", "Products with sales counts.", registry=REGISTRY)
CATALOGUE_READ = Gauge(
    "takk_catalogue_read_timestamp_seconds",
    "Unix time at which the catalogue and the sales counts were last read to the end of their topics.",
    registry=REGISTRY,
)
CATALOGUE_REFUSED = Counter(
    "takk_catalogue_refused_total", "Invalid records of the catalogue and the sales counts, by topic and reason.",
    ["topic", "reason"], registry=REGISTRY,
)  # fmt: skip

PRODUCT_CHANGES = Counter(
    "takk_product_changes_total",
    "Changes of products by which flows start, by kind: back_in_stock, price_dropped or replaced.",
    ["kind"],
    registry=REGISTRY,
)

# Code pools. `pool` is a pool that a flow uses, or `other` for all others
POOL_CODES = Gauge("takk_pool_codes", "Codes in stock, including expired codes, by pool.", ["pool"], registry=REGISTRY)
POOL_CLAIMS = Gauge(
    "takk_pool_claims",
    "Claims waiting for a code, by pool. Abandoned claims are counted until every older claim is resolved.",
    ["pool"],
    registry=REGISTRY,
)
CODES_GRANTED = Counter("takk_codes_granted_total", "Codes granted, by pool.", ["pool"], registry=REGISTRY)
CODES_EXPIRED = Counter(
    "takk_codes_expired_total",
    "Codes that had expired before they could be granted, by pool.",
    ["pool"],
    registry=REGISTRY,
)

# Gateway
GATEWAY_REQUESTS = Counter(
    "takk_gateway_requests_total", "Requests answered, by route and class of the status: 2xx, 3xx, 4xx, 5xx.",
    ["route", "status"], registry=REGISTRY,
)  # fmt: skip
GATEWAY_SECONDS = Histogram(
    "takk_gateway_request_seconds",
    "Time from the headers of a request to its answer, including the broker's acknowledgement or the spool's fsync, by route.",
    ["route"],
    buckets=WORK_SECONDS,
    registry=REGISTRY,
)
GATEWAY_BAD_LINKS = Counter(
    "takk_gateway_bad_links_total",
    "Requests whose token is not valid. reason: malformed, unknown_key, tampered, expired, foreign_shop.",
    ["reason"],
    registry=REGISTRY,
)
GATEWAY_LIMITED = Counter(
    "takk_gateway_limited_total",
    "Requests refused because their address sent too many, as set by TAKK_GATEWAY_REQUESTS_PER_MINUTE.",
    registry=REGISTRY,
)
GATEWAY_RECORDS = Counter(
    "takk_gateway_records_total",
    "Records of answered requests, by topic: acknowledged by the broker, or in the spool.",
    ["topic"],
    registry=REGISTRY,
)
GATEWAY_REPEATS = Counter(
    "takk_gateway_repeats_total", "Repeated opens and clicks of one link within a minute, which published nothing again.", registry=REGISTRY
)  # fmt: skip
GATEWAY_UNAVAILABLE = Counter(
    "takk_gateway_unavailable_total",
    "Requests answered with 503: neither Kafka nor the spool took their records, or a photo could not be stored.",
    registry=REGISTRY,
)
GATEWAY_UNRECORDED = Counter(
    "takk_gateway_unrecorded_total",
    "Opens and clicks that were answered and not recorded, because neither Kafka nor the spool took the record. kind: opened, clicked.",
    ["kind"],
    registry=REGISTRY,
)
GATEWAY_REFUSED = Counter(
    "takk_gateway_refused_records_total",
    "Records that the broker refuses for good. Those of the spool are kept in its file refused.",
    registry=REGISTRY,
)
GATEWAY_INVALID = Counter(
    "takk_gateway_invalid_records_total",
    "Records that the JSON API refused because they are invalid, by endpoint. Their senders got the reasons.",
    ["endpoint"],
    registry=REGISTRY,
)
GATEWAY_SPOOLING = Gauge(
    "takk_gateway_spooling", "1 while new records go to the spool: Kafka does not answer, or the spool is not empty yet.", registry=REGISTRY
)  # fmt: skip
GATEWAY_SPOOLED = Counter("takk_gateway_spooled_records_total", "Records written to the spool.", registry=REGISTRY)
GATEWAY_REPLAYED = Counter(
    "takk_gateway_replayed_records_total", "Records of the spool that the broker has acknowledged.", registry=REGISTRY
)
GATEWAY_SPOOL_RECORDS = Gauge("takk_gateway_spool_records", "Records in the spool.", registry=REGISTRY)
GATEWAY_SPOOL_BYTES = Gauge("takk_gateway_spool_bytes", "Size of the spool.", registry=REGISTRY)
GATEWAY_SPOOL_LIMIT = Gauge(
    "takk_gateway_spool_limit_bytes", "Size that the spool may have, as set by TAKK_GATEWAY_SPOOL_MB.", registry=REGISTRY
)  # fmt: skip
GATEWAY_SPOOL_OLDEST = Gauge(
    "takk_gateway_spool_oldest_timestamp_seconds", "Unix time of the oldest records in the spool; 0 if it is empty.", registry=REGISTRY
)  # fmt: skip
GATEWAY_SPOOL_DAMAGED = Gauge(
    "takk_gateway_spool_damaged_requests",
    "Requests whose records in the spool could not be read since the start. They are lost.",
    registry=REGISTRY,
)
GATEWAY_PAGES = Gauge(
    "takk_gateway_customer_pages", "About how many customers have data for the pages of the gateway.", registry=REGISTRY
)
GATEWAY_PAGES_READ = Gauge(
    "takk_gateway_customer_pages_read_timestamp_seconds",
    "Unix time at which the gateway last read the customer pages to the end of their topic; 0 before its first time.",
    registry=REGISTRY,
)

# Heartbeat
HEARTBEAT_TIMESTAMP = Gauge(
    "takk_heartbeat_timestamp_seconds",
    "Unix time at which the newest heartbeat that has passed through all stages of a partition was due; 0 before the first.",
    ["partition"],
    registry=REGISTRY,
)
HEARTBEAT_SECONDS = Gauge(
    "takk_heartbeat_seconds",
    "Time from the due time of a partition's newest heartbeat until the mailer had committed it.",
    ["partition"],
    registry=REGISTRY,
)

# The process
BUILD_INFO = Gauge("takk_build_info", "Always 1. version: the version of Takk.", ["version"], registry=REGISTRY)
FLOW_INFO = Gauge(
    "takk_flow_info",
    "Always 1, for each flow that the worker has loaded. version: its newest version. state: live, paused, draft.",
    ["flow", "version", "state"],
    registry=REGISTRY,
)
FLOWS_INFO = Gauge(
    "takk_flows_info",
    "Always 1. hash: of the flows, segments, sending rules and consent policy that the worker has loaded.",
    ["hash"],
    registry=REGISTRY,
)
TEMPLATES_INFO = Gauge(
    "takk_templates_info",
    "Always 1. version: of the templates folder that the process uses.",
    ["version"],
    registry=REGISTRY,
)
TEMPLATES_PUBLISHED = Gauge(
    "takk_templates_published",
    "1 while the process uses the published version of the templates folder, or none was published; else 0.",
    registry=REGISTRY,
)
TEMPLATES_REFUSED = Counter(
    "takk_templates_refused_total",
    "Published versions of the templates folder that the process refused. reason: invalid, restart (it can use the version after one).",
    ["reason"],
    registry=REGISTRY,
)
KAFKA_UNREACHABLE = Gauge(
    "takk_kafka_unreachable", "1 while no broker of the Kafka cluster accepts a connection of this process.", registry=REGISTRY
)  # fmt: skip
REGISTRY_UNAVAILABLE = Gauge(
    "takk_registry_unavailable",
    "1 while this process waits for the schema registry. Partitions with a record of an unknown schema wait meanwhile.",
    registry=REGISTRY,
)
READY = Gauge(
    "takk_ready",
    "1 if this process takes part, as in /readyz: it has had partitions, and Kafka answers.",
    registry=REGISTRY,
)
MEMBER = Gauge(
    "takk_member", "1 if this process is a member of its consumer group, by the newest answer of Kafka.", registry=REGISTRY
)  # fmt: skip
RESTORING = Gauge(
    "takk_restoring_partitions", "Partitions that this process takes over and does not process yet.", registry=REGISTRY
)  # fmt: skip
LOOP_LAG = Gauge(
    "takk_loop_lag_seconds",
    "Delay of the event loop: how late its last check ran. One is due every second.",
    registry=REGISTRY,
)

#: The closed list.
ALL: Final[tuple[MetricWrapperBase, ...]] = (
    RECORDS_IN, RECORDS_OUT, BATCH_RECORDS, BATCH_SECONDS, COMMIT_SECONDS, LAG_RECORDS, LAG_SECONDS, LAST_PROGRESS, STAGE_PROGRESS,
    PARTITIONS, STAGE_PARTITIONS, REBALANCES, DEAD_LETTERS, REPUBLISHED, RESTORED, RESTORE_PROGRESS, RESTORE_RATE, RESTORE_LEFT, RESTORE_SECONDS,
    STATE_QUARANTINED, RECORDS_LOST, STANDBY_ERRORS,
    STANDBY_LAG, STATE_BYTES, DISK_FREE, DISK_SIZE, TIMERS_PENDING, TIMERS_STORED, TIMERS_FIRED, TIMER_LATENESS,
    WALK_VISITS, WALK_STARTS, WALK_FAILURES, WALK_LEFT, DECISIONS, MAILS,
    HANDOVER, ORDER_TO_EMAIL, MESSAGES, MAIL_RULES, WITHDRAWALS, WITHDRAWALS_READ, SUPPRESSIONS_READ, SUPPRESSED_ADDRESSES,
    SENDS_UNKNOWN, RENDER_SECONDS, RENDERERS, RENDERER_BUSY, RENDERER_RESTARTS, SMTP_SECONDS,
    SMTP_PAUSED, SMTP_ANSWERS, SMTP_REFUSALS, SMTP_CONNECTIONS,
    SMTP_CONNECTIONS_LIMIT, ENGAGEMENT, ENGAGED_EMAILS, OPENS, CLICKS, UNSUBSCRIBES, BOUNCES, COMPLAINTS, ATTRIBUTED_ORDERS,
    ATTRIBUTED_REVENUE, ATTRIBUTED_MESSAGE_REVENUE, CATALOGUE_PRODUCTS, POPULARITY_PRODUCTS, CATALOGUE_READ, CATALOGUE_REFUSED, PRODUCT_CHANGES,
    POOL_CODES,
    POOL_CLAIMS, CODES_GRANTED, CODES_EXPIRED, GATEWAY_REQUESTS, GATEWAY_SECONDS, GATEWAY_BAD_LINKS, GATEWAY_LIMITED, GATEWAY_RECORDS,
    GATEWAY_REPEATS, GATEWAY_UNAVAILABLE, GATEWAY_UNRECORDED, GATEWAY_REFUSED, GATEWAY_INVALID, GATEWAY_SPOOLING, GATEWAY_SPOOLED, GATEWAY_REPLAYED,
    GATEWAY_SPOOL_RECORDS, GATEWAY_SPOOL_BYTES, GATEWAY_SPOOL_LIMIT, GATEWAY_SPOOL_OLDEST, GATEWAY_SPOOL_DAMAGED, GATEWAY_PAGES,
    GATEWAY_PAGES_READ, HEARTBEAT_TIMESTAMP, HEARTBEAT_SECONDS, BUILD_INFO, FLOW_INFO,
    FLOWS_INFO, TEMPLATES_INFO, TEMPLATES_PUBLISHED, TEMPLATES_REFUSED, KAFKA_UNREACHABLE, REGISTRY_UNAVAILABLE, READY, MEMBER, RESTORING, LOOP_LAG,
)  # fmt: skip


#: The media type of `page`.
CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


def page() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
