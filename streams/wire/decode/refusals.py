"""Refusals in records that break a rule: what they say about less mail is honoured, so that none of them is only a dead letter.

A broken unsubscription, complaint, bounce, consent of "no" or change of address becomes an event at the time of its record. Values that break
a rule are left out, and so is every "yes": a record that is wrong in one place does not prove consent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from streams.addresses import parse_address
from streams.core.model import events
from streams.core.model.events import Event
from streams.core.model.person_events import CustomerRequested
from streams.core.rules.consent_policy import TRACKING
from streams.wire import topics
from streams.wire.decode.requests import ANSWERS, NORMAL, SERVICE
from streams.wire.validation import (
    MAX_GENDER,
    MAX_ID,
    MAX_LINK,
    Record,
    ValidationFailed,
    check_locale,
    parse_birthday,
    parse_country,
    parse_id,
    parse_text,
    parse_time,
    parse_time_zone,
)

T = TypeVar("T")

CONSENTS = ("marketing_consent", "tracking_consent", "review_consent", "survey_consent", "profile_consent")
#: Texts that mean yes, in lowercase. All others mean no, so that a text of an unknown language never becomes a consent.
_YES = frozenset(("true", "t", "yes", "y", "1", "on", "granted", "subscribed", "opt_in", "ja", "oui"))
#: Parts of the names that systems give to a kind of engagement, in lowercase and with letters only.
_UNSUBSCRIBED = ("unsub", "optout", "optedout", "optingout", "removed", "stop")
_COMPLAINED = ("complain", "complaint", "spam", "abuse", "junk")
_SCOPES = ("review", "survey", "service")


def refusal_of(topic: str, record: Record, written_at: datetime) -> Event | None:
    """Return the event of what a broken record refuses, or None if it refuses nothing.

    Args:
        topic: the record's topic.
        record: the fields of the record, of any types; fields may be missing.
        written_at: when the record was written, UTC. It counts if the record's own time is not usable.

    Raises:
        ValidationFailed: the customer is unknown.
    """
    refuse = _REFUSALS.get(topic)
    if refuse is None:
        return None
    if not isinstance(record.get("customer_id"), str) or not record["customer_id"]:
        raise ValidationFailed("no_customer", "customer_id is empty")
    parse_id(record, "customer_id")
    at = _valid(parse_time, record.get("occurred_at"), "occurred_at", written_at) or written_at
    return refuse(record, at)


def _engagement(record: Record, at: datetime) -> Event | None:
    customer_id, send_id = record["customer_id"], record.get("send_id")
    if not isinstance(send_id, str) or _valid(parse_id, record, "send_id") is None:
        send_id = None
    kind = "".join([letter for letter in _lowercase(record.get("kind")) if letter.isalpha()])
    if any(part in kind for part in _UNSUBSCRIBED):
        scope = _lowercase(record.get("scope"))
        return events.Unsubscribed(
            customer_id=customer_id,
            send_id=send_id,
            scope=scope if scope in _SCOPES else "marketing",  # type: ignore[arg-type]  # one of the literals
            occurred_at=at,
        )
    if any(part in kind for part in _COMPLAINED):
        return events.MailComplained(customer_id=customer_id, send_id=send_id, occurred_at=at)
    if "bounce" in kind:
        hard, reason = record.get("hard"), record.get("reason")
        is_hard = "hard" in kind or _is_yes(hard) or _lowercase(hard) in ("hard", "permanent")
        text = parse_text(reason[:MAX_LINK], "reason", MAX_LINK) if isinstance(reason, str) else ""
        return events.MailBounced(customer_id=customer_id, send_id=send_id, hard=is_hard, reason=text, occurred_at=at)
    return None


def _profile(record: Record, at: datetime) -> Event | None:
    refused: dict[str, Any] = {name: False for name in CONSENTS if _answer(record.get(name)) is False}
    address, has_bad_address = _address(record.get("email"))
    if not refused and not has_bad_address:
        return None
    texts = {name: value for name, value in record.items() if isinstance(value, str) and value}
    return events.ProfileUpdated(
        customer_id=record["customer_id"],
        email=address,
        has_bad_address=has_bad_address,
        name=_valid(parse_text, texts.get("name", ""), "name") or None,
        locale=texts.get("locale") if _is_valid(check_locale, texts.get("locale", "")) else None,
        country=_valid(parse_country, texts.get("country", ""), "country") or None,
        time_zone=_valid(parse_time_zone, texts.get("time_zone")),
        birthday=_valid(parse_birthday, texts.get("birthday")),
        gender=_valid(parse_text, texts.get("gender", ""), "gender", MAX_GENDER) or None,
        consent_notice=_valid(parse_id, texts, "consent_notice") if "consent_notice" in texts else None,
        consent_source=_valid(parse_text, texts.get("consent_source", ""), "consent_source", MAX_ID) or None,
        occurred_at=at,
        **refused,
    )


def _request(record: Record, at: datetime) -> Event | None:
    """Return the answers of "no" and the wish for fewer emails in a broken request."""
    customer_id, request_id = record["customer_id"], _valid(parse_id, record, "request_id") or "broken"
    if record.get("kind") == "frequency":
        is_fewer = record.get("frequency") != NORMAL
        return _requested(customer_id, request_id, at, kind="frequency", wants_fewer=True) if is_fewer else None
    answers = record.get("answers")
    stated = {**(answers if isinstance(answers, Mapping) else {}), TRACKING: record.get(TRACKING)}
    refused = [purpose for purpose, answer in stated.items() if _answer(answer) is False]
    fields = {**ANSWERS, TRACKING: "tracking_consent"}
    profile: dict[str, Any] = {fields[purpose]: False for purpose in refused if purpose in fields}
    if not refused:
        return None
    return _requested(
        customer_id,
        request_id,
        at,
        kind="preferences",
        profile=events.ProfileUpdated(customer_id=customer_id, occurred_at=at, **profile),
        wants_service=False if SERVICE in refused else None,
    )


def _requested(customer_id: str, request_id: str, at: datetime, **details: Any) -> Event:
    return CustomerRequested(customer_id=customer_id, request_id=request_id, stage="asked", occurred_at=at, **details)


_REFUSALS: Mapping[str, Callable[[Record, datetime], Event | None]] = MappingProxyType(
    {topics.ENGAGEMENT: _engagement, topics.CUSTOMERS: _profile, topics.REQUESTS: _request}
)
#: The topics whose records may refuse emails.
REFUSING = frozenset(_REFUSALS)


def _address(value: Any) -> tuple[str | None, bool]:
    """Return a valid address or None, and whether the value is an address that is not valid."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None, False
    address = parse_address(value) if isinstance(value, str) else None
    return address, address is None


def _answer(value: Any) -> bool | None:
    """Return the answer that a value means: None for an unknown one, and no for whatever is not clearly a yes."""
    return None if value is None or value == "" else _is_yes(value)


def _is_yes(value: Any) -> bool:
    return value is True or (type(value) in (int, float) and value == 1) or _lowercase(value) in _YES


def _lowercase(value: Any) -> str:
    return value.strip().casefold() if isinstance(value, str) else ""


def _valid(parse: Callable[..., T], *arguments: Any) -> T | None:
    try:
        return parse(*arguments)
    except ValidationFailed:
        return None


def _is_valid(check: Callable[..., None], *arguments: Any) -> bool:
    try:
        check(*arguments)
    except ValidationFailed:
        return False
    return True
