"""Compares what the gateway accepted with the records on the topics: each action once by its effect, which the id of a record identifies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from msgspec import Struct

from streams.mail.tokens import Link, LinkKeys, Use
from streams.tools.local.recipients.actions import Action
from streams.wire import topics

#: The topic, the customer, and what the record says without ids and times.
Effect: TypeAlias = tuple[str, ...]
#: The gateway's clock is that of this machine, and records have milliseconds.
_TOLERANCE = timedelta(milliseconds=2)
#: The topics that the gateway writes for the pages and the links of emails.
TOPICS = (topics.ENGAGEMENT, topics.REVIEWS, topics.REORDERS, topics.CONTEST_ENTRIES, topics.REQUESTS)


class SeenRecord(Struct, frozen=True):
    """A record on one of `TOPICS`, written by the gateway."""

    topic: str
    id: str
    value: Mapping[str, Any]


@dataclass
class Comparison:
    """The result.

    Attributes:
        lost: effects of accepted actions without a record, by kind of action.
        duplicates: effects with more ids than actions, by kind of action.
        repeats: further records with an id that is there already. They have no effect.
        others: effects that no action asked for: somebody opened the links in the inbox, or a request without an answer was handled.
    """

    lost: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    others: int = 0


def compare(actions: Iterable[Action], records: Iterable[SeenRecord], keys: LinkKeys) -> Comparison:
    """Compare accepted actions with records.

    A record belongs to an action if it says the same and was made while the request was answered, by the clock of this machine.

    Args:
        actions: what the gateway answered with success.
        records: what it wrote.
        keys: open the links.
    """
    result = Comparison()
    by_effect: dict[Effect, dict[str, datetime]] = {}
    for record in records:
        ids = by_effect.setdefault(effect_of(record), {})
        result.repeats += record.id in ids
        ids.setdefault(record.id, record.value["occurred_at"])
    for action in actions:
        for effect in EFFECTS[action.kind](action, _link(action, keys)):
            ids = by_effect.get(effect, {})
            since, until = action.began_at - _TOLERANCE, action.ended_at + _TOLERANCE
            found = [id for id, at in ids.items() if since <= at <= until]
            result.lost[action.kind] += not found
            result.duplicates[action.kind] += max(0, len(found) - 1)
            for id in found:
                del ids[id]
    result.others = sum(len(ids) for ids in by_effect.values())
    return result


#: Kind of action -> the use of its links.
USES: dict[str, Use] = {
    "opened": "o",
    "clicked": "c",
    "unsubscribed": "u",
    "unsubscribed by one click": "u",
    "answered": "s",
    "explained": "s",
    "reviewed": "r",
    "entered a contest": "k",
    "reordered": "b",
    "chose fewer emails": "p",
    "added a birthday": "p",
    "asked for an export": "p",
    "moved to another address": "p",
    "confirmed a request": "a",
}


def _link(action: Action, keys: LinkKeys) -> Link:
    return keys.open(USES[action.kind], action.token, action.ended_at)


def effect_of(record: SeenRecord) -> Effect:
    """Return the effect of a record."""
    value, topic = record.value, record.topic
    customer, send = value["customer_id"], value.get("send_id") or ""
    if topic == topics.ENGAGEMENT:
        return (topic, customer, send, value["kind"], *_reaction(value))
    if topic == topics.REVIEWS:
        said = (value["text"], value["name"], "photo" if value["photo"] else "")
        return (topic, customer, send, value["sku"] or "", str(value["stars"]), *said)
    if topic == topics.REORDERS:
        return (topic, customer, send, value["order_id"])
    if topic == topics.CONTEST_ENTRIES:
        return (topic, customer, send, value["contest"], value["caption"], _yes(value["may_publish"]))
    asked = value["request_id"] if value["stage"] == "confirmed" else value["frequency"] or value["birthday"] or ""
    return (topic, customer, value["kind"], value["stage"], asked)


def _reaction(value: Mapping[str, Any]) -> tuple[str, ...]:
    number = value["answer_thousandths"]
    details: dict[str, tuple[str, ...]] = {
        "opened": (value["agent"],),
        "clicked": (value["link"] or "", value["agent"]),
        "unsubscribed": (value["scope"] or "",),
        "answered": (value["question"] or "", value["answer"] or "" if number is None else str(number)),
        "reviewed": (value["sku"] or "", str(value["stars"])),
        "contest_entered": (value["contest"] or "",),
    }
    return details.get(value["kind"], ())


def _engagement(link: Link, kind: str, *details: str) -> Effect:
    return (topics.ENGAGEMENT, link.customer_id, link.send_id, kind, *details)


def _request(link: Link, kind: str, asked: str, stage: str = "asked") -> Effect:
    return (topics.REQUESTS, link.customer_id, kind, stage, asked)


def _reviewed(action: Action, link: Link) -> list[Effect]:
    said = action.fields
    text = (said["text"], said["name"], "photo" if "photo" in said else "")
    return [
        (topics.REVIEWS, link.customer_id, link.send_id, link.target, said["stars"], *text),
        _engagement(link, "reviewed", link.target, said["stars"]),
    ]


def _entered(action: Action, link: Link) -> list[Effect]:
    caption, publish = action.fields["caption"], _yes(action.fields.get("publish") == "yes")
    return [
        (topics.CONTEST_ENTRIES, link.customer_id, link.send_id, link.target, caption, publish),
        _engagement(link, "contest_entered", link.target),
    ]


def _birthday(action: Action, link: Link) -> list[Effect]:
    day, month, year = (action.fields.get(f"birthday-{part}", "") for part in ("day", "month", "year"))
    return [_request(link, "preferences", f"{year or '-'}-{int(month):02}-{int(day):02}")]


def _confirmed(action: Action, link: Link) -> list[Effect]:
    return [_request(link, link.target.rpartition("-")[0], link.target, "confirmed")]


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


#: Kind of action -> the effects that it must have.
EFFECTS: dict[str, Callable[[Action, Link], list[Effect]]] = {
    "opened": lambda action, link: [_engagement(link, "opened", action.agent)],
    "clicked": lambda action, link: [_engagement(link, "clicked", link.target, action.agent)],
    "unsubscribed": lambda action, link: [_engagement(link, "unsubscribed", action.fields["scope"])],
    "unsubscribed by one click": lambda action, link: [_engagement(link, "unsubscribed", link.target)],
    "answered": lambda action, link: [
        _engagement(link, "answered", link.target, str(int(action.fields["value"]) * 1000))
    ],
    "explained": lambda action, link: [_engagement(link, "answered", f"{link.target}-why", action.fields["why"])],
    "reviewed": _reviewed,
    "entered a contest": _entered,
    "reordered": lambda action, link: [(topics.REORDERS, link.customer_id, link.send_id, action.fields["order"])],
    "chose fewer emails": lambda action, link: [_request(link, "frequency", "fewer")],
    "added a birthday": _birthday,
    "asked for an export": lambda action, link: [_request(link, "export", "")],
    "moved to another address": lambda action, link: [_request(link, "change_address", "")],
    "confirmed a request": _confirmed,
}
