"""The series that a process exports as 0 from its start.

A counter that first appears at its first increment loses that increment: Prometheus sees no rise from nothing to 1. And a series that is
missing is then an alarm: the process is down, or it is not the process that was expected. So a process exports every series of its closed
label sets from the start, and no metric of the other kinds of process at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, Literal, TypeAlias, get_args

from streams.core.model.events import AgentClass, MailOutcome
from streams.core.rules.flow import Send, all_steps
from streams.core.rules.ruleset import Ruleset
from streams.mail.delivery.bounces import Reason
from streams.mail.delivery.providers import Provider
from streams.mail.tokens import Reason as BadLinkReason
from streams.observability import metrics
from streams.wire import topics
from streams.wire.validation import RULES

#: The metrics that only a worker exports. All others, except those of the mailer and the gateway, are exported by worker and mailer.
OF_WORKER = (
    metrics.TIMERS_PENDING, metrics.TIMERS_STORED, metrics.TIMERS_FIRED, metrics.TIMER_LATENESS, metrics.DECISIONS, metrics.ENGAGEMENT,
    metrics.ENGAGED_EMAILS, metrics.OPENS, metrics.CLICKS, metrics.UNSUBSCRIBES, metrics.BOUNCES, metrics.COMPLAINTS,
    metrics.ATTRIBUTED_ORDERS, metrics.ATTRIBUTED_REVENUE, metrics.ATTRIBUTED_MESSAGE_REVENUE, metrics.POOL_CODES, metrics.POOL_CLAIMS,
    metrics.CODES_GRANTED, metrics.CODES_EXPIRED, metrics.FLOW_INFO, metrics.FLOWS_INFO,
    metrics.PRODUCT_CHANGES, metrics.WALK_VISITS, metrics.WALK_STARTS, metrics.WALK_FAILURES, metrics.WALK_LEFT,
)  # fmt: skip
#: The metrics that only a mailer exports.
OF_MAILER = (
    metrics.MAILS, metrics.MESSAGES, metrics.HANDOVER, metrics.ORDER_TO_EMAIL, metrics.WITHDRAWALS,
    metrics.MAIL_RULES, metrics.WITHDRAWALS_READ, metrics.SUPPRESSIONS_READ, metrics.SUPPRESSED_ADDRESSES, metrics.SENDS_UNKNOWN,
    metrics.RENDER_SECONDS, metrics.RENDERERS, metrics.RENDERER_BUSY, metrics.RENDERER_RESTARTS, metrics.SMTP_SECONDS,
    metrics.HEARTBEAT_TIMESTAMP, metrics.HEARTBEAT_SECONDS, metrics.SMTP_PAUSED, metrics.SMTP_ANSWERS,
    metrics.SMTP_REFUSALS, metrics.SMTP_CONNECTIONS, metrics.SMTP_CONNECTIONS_LIMIT,
    metrics.CATALOGUE_PRODUCTS, metrics.POPULARITY_PRODUCTS, metrics.CATALOGUE_READ, metrics.CATALOGUE_REFUSED,
)  # fmt: skip

#: The metrics that only a gateway exports.
OF_GATEWAY = (
    metrics.GATEWAY_REQUESTS, metrics.GATEWAY_SECONDS, metrics.GATEWAY_BAD_LINKS, metrics.GATEWAY_LIMITED, metrics.GATEWAY_RECORDS,
    metrics.GATEWAY_REPEATS, metrics.GATEWAY_UNAVAILABLE, metrics.GATEWAY_UNRECORDED, metrics.GATEWAY_REFUSED, metrics.GATEWAY_SPOOLING,
    metrics.GATEWAY_SPOOLED, metrics.GATEWAY_REPLAYED, metrics.GATEWAY_SPOOL_RECORDS, metrics.GATEWAY_SPOOL_BYTES,
    metrics.GATEWAY_SPOOL_LIMIT, metrics.GATEWAY_SPOOL_OLDEST, metrics.GATEWAY_SPOOL_DAMAGED, metrics.GATEWAY_PAGES,
    metrics.GATEWAY_PAGES_READ, metrics.GATEWAY_INVALID,
)  # fmt: skip
#: The metrics of stages that a gateway exports too.
OF_ALL = (
    metrics.DISK_FREE, metrics.DISK_SIZE, metrics.BUILD_INFO, metrics.KAFKA_UNREACHABLE, metrics.REGISTRY_UNAVAILABLE, metrics.READY,
    metrics.LOOP_LAG, metrics.TEMPLATES_INFO, metrics.TEMPLATES_PUBLISHED, metrics.TEMPLATES_REFUSED,
)  # fmt: skip

#: Why a published version of the templates is refused: its files have errors, or the process must be restarted to use it.
RefusalReason: TypeAlias = Literal["invalid", "restart"]

#: Stage -> the topics that it writes to, besides its changelog. A record with a wrong key returns to its own topic; it is counted by
#: `takk_republished_records_total`.
OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "flows": (
        topics.DELAYS, topics.COMMANDS, topics.DECISIONS, topics.ATTRIBUTED, topics.REWARDS, topics.CLAIMS, topics.CLAIM_WITHDRAWALS,
        topics.SIGNALS, topics.WITHDRAWALS, topics.SALES, topics.CHECKPOINTS, topics.HEARTBEATS, topics.ADDRESS_EVENTS,
        topics.EVENTS, topics.HANDOVERS, topics.CUSTOMER_PAGES, topics.CUSTOMERS, topics.INTERESTS,
    ),
    "catalogue": (topics.PRODUCT_CHANGES,),
    "scheduler": (topics.DUE,),
    "popularity": (topics.POPULARITY,),
    "pools": (topics.GRANTS,),
    "suppressions": (topics.SUPPRESSIONS,),
    "mailer": (topics.EVENTS, topics.ENGAGEMENT, topics.DELAYS, topics.DECISIONS, topics.ADDRESS_EVENTS),
}  # fmt: skip
#: The reasons of dead letters: broken rules, invalid Avro, `failed` for a handler that raised, and `crashed`.
DEAD_LETTER_REASONS = (*RULES, "not_avro", "unknown_schema", "truncated", "failed", "crashed")

#: The reasons for which a record of the catalogue or the sales counts is invalid.
CATALOGUE_REASONS = (
    "bad_id", "bad_currency", "bad_link", "bad_time", "negative_amount", "too_much", "too_long", "not_avro", "unknown_schema", "truncated",
)  # fmt: skip

#: The decisions that are exported as 0 for each flow: whether an email is sent, and what most often prevents it. All outcomes with all rules
#: would be a thousand series per flow, most of which can never change; so a query of other decisions must allow for a missing series.
DECISIONS = (
    *(("send", rule) for rule in ("transactional", "consent", "own_opt_in", "soft_opt_in", "allowed")),
    *(
        ("skip", rule)
        for rule in (
            "unsubscribed", "hard_bounced", "bad_address", "complained", "soft_bounces", "no_consent", "no_own_opt_in", "no_soft_opt_in",
            "soft_opt_in_ended", "under_age", "no_address", "expired", "holdout", "shared_id", "too_old",
        )
    ),
    *(("defer", rule) for rule in ("cap", "fewer", "quiet_hours", "order_late", "refunded", "calm_series", "clash", "not_before", "paused")),
    ("limit", "instances"),  # read by TakkCustomerFloods
    ("retry", "put_off"),
)  # fmt: skip
#: The kinds of engagement with the agents that each can have. Engagement with emails that are no longer stored has no flow and no message;
#: these series are not exported as 0.
ENGAGEMENT = (
    *(product(("opened", "clicked"), get_args(AgentClass))),
    *(
        (kind, "unknown")
        for kind in (
            "delivered", "unsubscribed", "complained", "bounced", "answered", "ordered", "ordered_held_out",
        )
    ),
)  # fmt: skip
#: The engagement that an email has once: see `takk_engaged_emails_total`.
FIRST_ENGAGEMENT = (("opened", "human"), ("opened", "unknown"), ("clicked", "human"))
OUTCOMES: tuple[str, ...] = get_args(MailOutcome)
#: The rules of the mailer with the outcome of each.
MAIL_RULES = (
    ("sent", "accepted"), ("sent", "sent_again"), ("deferred", "4xx"), ("refused", "5xx"), ("refused", "gave_up"), ("refused", "unrenderable"),
    ("refused", "unsendable"), ("refused", "crashed"), ("expired", "not_after"), ("suppressed", "withdrawn"), ("suppressed", "too_few_products"),
    ("suppressed", "address_suppressed"), ("suppressed", "address_cap"), ("suppressed", "address_limit"),
    ("unknown", "in_flight_after_crash"), ("unknown", "connection_lost"), ("unknown", "failed"), ("unknown", "crashed"), ("refused", "failed"),
    ("deferred", "refused_us"), ("deferred", "no_answer"), ("deferred", "newer_templates"),
    ("deferred", "example_brand"), ("suppressed", "example_brand"), ("unknown", "withdrawn"), ("unknown", "too_few_products"),
    ("unknown", "unrenderable"), ("unknown", "unsendable"), ("unknown", "gave_up"),
    ("refused", "incorrect_document"), ("unknown", "incorrect_document"),
)  # fmt: skip
#: The topics that the gateway writes to.
GATEWAY_TOPICS = (
    topics.ENGAGEMENT, topics.REVIEWS, topics.REORDERS, topics.CONTEST_ENTRIES, topics.REQUESTS, topics.ORDERS, topics.SHIPMENTS,
    topics.CUSTOMERS, topics.PRODUCTS, topics.BROWSING,
)  # fmt: skip
SMTP_OUTCOMES = ("accepted", "refused", "deferred", "unknown", "down")


def zero_stage(stage: str, inputs: Iterable[str]) -> None:
    """Export the series of a stage that reads the topics `inputs`.

    `takk_restore_progress_ratio` is not among them: 0 would mean a restore that does not advance.
    """
    one = (stage,)
    _zero(metrics.RECORDS_IN, one, inputs)
    _zero(metrics.RECORDS_OUT, one, (*OUTPUTS[stage], topics.DEAD_LETTERS))
    _zero(metrics.DEAD_LETTERS, one, DEAD_LETTER_REASONS)
    _zero(metrics.RECORDS_LOST, one, inputs)
    for metric in (
        metrics.BATCH_RECORDS, metrics.BATCH_SECONDS, metrics.COMMIT_SECONDS, metrics.REPUBLISHED, metrics.RESTORED, metrics.RESTORE_SECONDS,
        metrics.RESTORE_RATE, metrics.RESTORE_LEFT, metrics.PARTITIONS, metrics.STATE_BYTES, metrics.STATE_QUARANTINED,
    ):  # fmt: skip
        _zero(metric, one)


def zero_worker(ruleset: Ruleset) -> None:
    """Export the series of the flows of `ruleset`, and no metric of the mailer and the gateway."""
    _remove((*OF_MAILER, *OF_GATEWAY))
    _zero(metrics.TEMPLATES_REFUSED, get_args(RefusalReason))
    metrics.DECISIONS.labels("", "limit", "shared_id")  # of a customer, so without a flow
    flaws = ("does_not_add_up", "bad_address", "bad_attribute")
    _zero_pairs(metrics.DECISIONS, ("",), [("note", flaw) for flaw in flaws])
    zero_flows(ruleset)


def zero_flows(ruleset: Ruleset) -> None:
    """Export the series of the flows of `ruleset`."""
    messages: dict[str, set[str]] = {}
    for flow in ruleset.flows:
        sent = {step.message for step in all_steps(flow.steps) if isinstance(step, Send)}
        messages.setdefault(flow.name, set()).update(sent)
    flows, currencies = tuple(messages), (ruleset.shop.currency,)
    for name in flows:
        _zero_pairs(metrics.DECISIONS, (name,), DECISIONS)
    _zero(metrics.OPENS, flows, get_args(AgentClass))
    _zero(metrics.CLICKS, flows, get_args(AgentClass))
    _zero(metrics.BOUNCES, flows, ("hard", "soft"))
    for metric in (metrics.UNSUBSCRIBES, metrics.COMPLAINTS, metrics.ATTRIBUTED_ORDERS):
        _zero(metric, flows)
    _zero(metrics.ATTRIBUTED_REVENUE, flows, currencies)
    for name, sent in messages.items():
        for message in sent:
            _zero_pairs(metrics.ENGAGEMENT, (name, message), ENGAGEMENT)
            _zero_pairs(metrics.ENGAGED_EMAILS, (name, message), FIRST_ENGAGEMENT)
        _zero(metrics.ATTRIBUTED_MESSAGE_REVENUE, (name,), sent, currencies)


def zero_pools(pools: Iterable[str]) -> None:
    """Export the series of the code pools `pools`."""
    pools = tuple(pools)
    _zero(metrics.CODES_GRANTED, pools)
    _zero(metrics.CODES_EXPIRED, pools)


def zero_product_changes(kinds: Iterable[str]) -> None:
    """Export the series of the `kinds` of changes of products."""
    _zero(metrics.PRODUCT_CHANGES, kinds)


def zero_mailer(messages: Mapping[str, Iterable[str]]) -> None:
    """Export the series of the mailer, and no metric of a worker or a gateway.

    Args:
        messages: flow -> the names of its messages.
    """
    _remove((*OF_WORKER, *OF_GATEWAY))
    _zero(metrics.TEMPLATES_REFUSED, get_args(RefusalReason))
    zero_messages(messages)
    _zero(metrics.WITHDRAWALS, ("in_time", "too_late"))
    _zero(metrics.RENDERER_RESTARTS, ("ended", "silent"))
    _zero(metrics.SMTP_SECONDS, SMTP_OUTCOMES)
    _zero(metrics.SMTP_ANSWERS, get_args(Provider), SMTP_OUTCOMES)
    _zero(metrics.SMTP_REFUSALS, get_args(Provider), get_args(Reason), ("permanent", "temporary"))
    _zero(metrics.CATALOGUE_REFUSED, (topics.PRODUCTS, topics.POPULARITY), CATALOGUE_REASONS)


def zero_messages(messages: Mapping[str, Iterable[str]]) -> None:
    """Export the series of the messages of each flow."""
    for flow, names in messages.items():
        _zero(metrics.MAILS, (flow,), OUTCOMES)
        _zero_pairs(metrics.MAIL_RULES, (flow,), MAIL_RULES)
        _zero(metrics.MESSAGES, (flow,), names, OUTCOMES)
        _zero(metrics.SENDS_UNKNOWN, (flow,), ("sent_again", "given_up"))
        for metric in (metrics.RENDER_SECONDS, metrics.HANDOVER, metrics.ORDER_TO_EMAIL):
            _zero(metric, (flow,))


def zero_gateway(routes: Iterable[str], endpoints: Iterable[str]) -> None:
    """Export the series of the gateway, and no metric of stages.

    Args:
        routes: the names of its routes.
        endpoints: those of the JSON API.
    """
    _remove(metric for metric in metrics.ALL if metric not in OF_GATEWAY and metric not in OF_ALL)
    _zero(metrics.TEMPLATES_REFUSED, get_args(RefusalReason))
    routes = tuple(routes)
    _zero(metrics.GATEWAY_REQUESTS, routes, ("2xx", "3xx", "4xx", "5xx"))
    _zero(metrics.GATEWAY_SECONDS, routes)
    _zero(metrics.GATEWAY_BAD_LINKS, get_args(BadLinkReason))
    _zero(metrics.GATEWAY_RECORDS, GATEWAY_TOPICS)
    _zero(metrics.GATEWAY_UNRECORDED, ("opened", "clicked"))
    _zero(metrics.GATEWAY_INVALID, endpoints)


def _zero(metric: Any, *values: Iterable[str]) -> None:
    """Export the series of `metric` with every combination of label values."""
    for labels in product(*values):
        metric.labels(*labels)


def _zero_pairs(metric: Any, first: tuple[str, ...], pairs: Iterable[tuple[str, str]]) -> None:
    """Export the series of `metric` whose last two labels are one of `pairs`."""
    for pair in pairs:
        metric.labels(*first, *pair)


def _remove(unused: Iterable[Any]) -> None:
    """Export none of the metrics `unused`."""
    for metric in unused:
        metrics.REGISTRY.unregister(metric)
