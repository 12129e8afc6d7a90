"""The personal data in each topic and table, what an erasure removes at once, and when the rest is gone. deploy/RETENTION.md shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from streams.runtime.kafka.topic_admin import TopicSpec
from streams.wire import topics
from streams.wire.topics import COMPACTION_LAG, DAY_MS, DEAD_LETTERS, TOPICS


class Row(NamedTuple):
    """One topic or table.

    Attributes:
        name: its name.
        contains: the personal data in it; "" for none.
        at_once: what an erasure removes at once.
        rest: when the rest is gone.
        reason: why it is kept as long.
    """

    name: str
    contains: str
    at_once: str
    rest: str
    reason: str


class _About(NamedTuple):
    contains: str
    reason: str
    at_once: str = "nothing: Kafka deletes such a topic by time only"


_ID = "customer id"
_QUARTER = "so that flows can be simulated with the last quarter"
_OUTAGE = "the longest outage of the stage that reads it"
_NOTHING = ""
#: Topic -> its personal data, and the reason for its retention.
_TOPICS: Mapping[str, _About] = MappingProxyType(
    {
        topics.ORDERS: _About("address, name, order", _QUARTER),
        topics.SHIPMENTS: _About(f"{_ID}, parcel with its tracking number", _QUARTER),
        topics.ENGAGEMENT: _About(f"{_ID}, opens, clicks, answers, unsubscriptions", _QUARTER),
        topics.CUSTOMERS: _About(
            "address, name, profile, consent",
            "the newest profile of each customer",
            "the record: the tombstone replaces it",
        ),
        topics.HANDOVERS: _About("address, name, orders: the state of a customer who was merged into another", _OUTAGE),
        topics.BROWSING: _About(f"{_ID}, products viewed", _QUARTER),
        topics.PRESSURE: _About(f"{_ID}, emails of other systems", _QUARTER),
        topics.PRODUCTS: _About(_NOTHING, "the catalogue", _NOTHING),
        topics.POPULARITY: _About(_NOTHING, "counts per product", _NOTHING),
        topics.DELAYS: _About("retries contain the email: address, name, order", _OUTAGE),
        topics.DUE: _About("retries contain the email: address, name, order", _OUTAGE),
        topics.COMMANDS: _About(
            "address, name, order", "so that an email can be sent again", "emails that have not left are withdrawn"
        ),
        topics.EVENTS: _About(f"{_ID}, outcome of each email", _QUARTER),
        topics.ATTRIBUTED: _About(f"{_ID}, engagement with each email", _QUARTER),
        topics.DECISIONS: _About(_ID, "so that `takk why` can explain each email"),
        topics.REWARDS: _About(f"{_ID}, discount code", "the shop reads it to accept the code"),
        topics.CODES: _About(_NOTHING, "codes, before a customer has one", _NOTHING),
        topics.CLAIMS: _About(_ID, _OUTAGE, "the claim is withdrawn"),
        topics.CLAIM_WITHDRAWALS: _About(_ID, _OUTAGE),
        topics.GRANTS: _About(f"{_ID}, discount code", "the shop reads it to match codes with customers"),
        topics.SIGNALS: _About(f"{_ID}, the values that flows add", "other systems read it"),
        topics.WITHDRAWALS: _About(_ID, "as long as the command that it withdraws"),
        topics.SALES: _About(f"{_ID}, products", _OUTAGE),
        topics.INTERESTS: _About(f"{_ID}, products", _OUTAGE),
        topics.PRODUCT_CHANGES: _About(f"{_ID}, products", _OUTAGE),
        topics.ADDRESS_EVENTS: _About("keyed hash of an address", _OUTAGE),
        topics.SUPPRESSIONS: _About("keyed hash of an address, refused scopes", "a refusal holds without end"),
        topics.HEARTBEATS: _About(_NOTHING, "measures the delay of the pipeline", _NOTHING),
        DEAD_LETTERS: _About("the invalid record", "no longer than the topics that the records come from"),
        topics.CHECKPOINTS: _About(_NOTHING, "offsets, from which decisions can be replayed", _NOTHING),
        topics.CLOCK_PROBES: _About(_NOTHING, "compares clocks", _NOTHING),
        topics.CRASH_NOTES: _About(_NOTHING, "offsets of records that ended a process", _NOTHING),
        topics.PUBLISHED_TEMPLATES: _About(_NOTHING, "tells all processes which templates to use", _NOTHING),
        topics.CUSTOMER_PAGES: _About(
            "first name, masked address, answers, last order",
            "what the pages of the gateway show of each customer",
            "the record: a tombstone replaces it",
        ),
        topics.REQUESTS: _About(
            f"{_ID}, new address, answers, dates", "so that a request of the customer can be proven for a quarter"
        ),
        topics.REVIEWS: _About(f"{_ID}, name, text of the review", "the shop reads it to show the review"),
        topics.REORDERS: _About(f"{_ID}, products", "the shop reads it to make the order"),
        topics.CONTEST_ENTRIES: _About(
            f"{_ID}, caption, file name of the photo", "the shop reads it to judge the contest"
        ),
    }
)
_COMPACTED = f"after compaction: within {COMPACTION_LAG.days} days and the time that a compaction takes"
_KEPT = "not deleted: without the key, the hash names nobody"
#: The tables, each with its changelog topic.
_TABLES = (
    Row(
        "flows: customers",
        "address, name, orders, purchases by category, viewed products, emails, instances, profile with attributes and wishes, consent",
        'everything but the scopes and times of unsubscriptions, and each "no" with its time',
        _COMPACTED,
        "while the customer is known",
    ),
    Row(
        "scheduler: timers",
        f"{_ID}; retries contain the email: address, name, order",
        "all timers of the customer",
        _COMPACTED,
        "until they fire",
    ),
    Row(
        "mailer: sends",
        "send id (a hash), outcome, time, and the mail server's id of the email; no customer id",
        "nothing: an entry prevents a second delivery while its command can be read",
        "45 days after the last attempt",
        "30 days of commands, 7 of their last segment, and 8 for late deletions",
    ),
    Row(
        "pools: codes",
        "customer id of a claim that waits for a code",
        "the claim is withdrawn",
        "when the queue reaches the claim, or the claim gives up",
        "the order of the claims",
    ),
    Row(
        "catalogue: product-index",
        f"{_ID}, products wished for and bought",
        "the entries of the customer, while a flow starts by a change of the catalogue",
        _COMPACTED,
        "while the customer wishes for the product, or the order is stored. When the last such flow is gone, delete the changelog",
    ),
    Row(
        "suppressions: addresses",
        "keyed hash of an address, refusals, times of emails",
        "nothing",
        _KEPT,
        "a refusal holds without end",
    ),
    Row("popularity: counts", _NOTHING, _NOTHING, "not deleted", "counts per product"),
)


def rows() -> Iterator[Row]:
    """Yield a row for each topic, then for each table."""
    for spec in TOPICS:
        about = _TOPICS[spec.name]
        yield Row(spec.name, about.contains, about.at_once, _rest(spec), about.reason)
    yield from _TABLES


def _rest(spec: TopicSpec) -> str:
    if spec.name == topics.SUPPRESSIONS:
        return _KEPT
    if spec.cleanup == "compact":
        return _COMPACTED if _TOPICS[spec.name].contains else "when a newer record replaces it"
    if spec.retention_ms is None:
        return "not deleted"
    days = spec.retention_ms // DAY_MS
    return f"after {days} day{'' if days == 1 else 's'}"
