"""The keys of flow.yaml and the limits of their values, for the readers and for the JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from types import MappingProxyType
from typing import NamedTuple


class Keys(NamedTuple):
    """The valid keys of a mapping, and the required ones among them."""

    known: tuple[str, ...]
    needed: tuple[str, ...] = ()


FLOW = Keys(
    (
        "flow",
        "version",
        "status",
        "purpose",
        "trigger",
        "exit_on",
        "goal",
        "holdout",
        "not_with",
        "migrations",
        "max_age",
        "steps",
    ),
    ("flow", "version", "status", "purpose", "trigger", "steps"),
)
MIGRATION = Keys(("from", "steps"), ("from", "steps"))
TRIGGER = Keys(
    (
        "on",
        "once_per",
        "which",
        "where",
        "again_after",
        "segment",
        "before",
        "date",
        "threshold",
        "at",
        "clock",
        "spread",
        "backfill",
    ),
    ("on",),
)

#: The names that conditions can use for the data of an event, beside those of the order and the customer.
EVENT_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mail.delivered": ("event.flow", "event.message"),
        "mail.opened": ("event.flow", "event.message"),
        "mail.clicked": ("event.flow", "event.message", "event.link"),
        "survey.answered": ("event.flow", "event.message", "event.question", "event.answer", "event.number"),
        "review.written": ("event.stars",),
        "contest.entered": ("event.contest",),
        "request.asked": ("event.request",),
        "request.confirmed": ("event.request",),
        "segment.entered": ("event.segment",),
        "segment.left": ("event.segment",),
    }
)

#: The least and the greatest value of each number.
VERSION = (1, 999_999)
PRIORITY = (0, 100)
PRODUCTS = (1, 12)
TIMES = (2, 10)
MONTHS = (0, 13)
DAYS = (0, 400)
HOURS = (0, 10_000)
MINUTES = (0, 100_000)
LONGEST_VALUE = 200
#: A day and a time of day.
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ T]([01]?\d|2[0-3]):([0-5]\d)\Z")
#: Stands for an invalid moment.
NO_MOMENT = datetime.combine(date(2000, 1, 1), time())
#: The longest time over which a campaign is spread, in days.
LONGEST_SPREAD = 7
#: The most values of a signal, and the most pools that one reward chooses from.
MOST_SIGNAL_VALUES, MOST_POOLS = 12, 40
#: The most that a step adds to a field, or subtracts from it.
LARGEST_AMOUNT = 1_000_000
MONTHS_SPAN = re.compile(r"(\d{1,2})mo\Z")
PATH = re.compile(r"\d{1,4}(\.\d{1,4}\.\d{1,4})*\Z")
