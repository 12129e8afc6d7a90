"""The records of what customers ask for on the pages of the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from streams.core.model.events import Event
from streams.core.model.person_events import (
    CONFIRMED_KINDS,
    CustomerRequested,
    ProfileUpdated,
    RequestKind,
    RequestStage,
)
from streams.wire.decode.traits import parse_dates
from streams.wire.validation import (
    MAX_ID,
    MAX_WORDING,
    Record,
    ValidationFailed,
    check_locale,
    parse_birthday,
    parse_email,
    parse_id,
    parse_text,
    parse_time,
)

_KINDS, _STAGES = frozenset(get_args(RequestKind)), frozenset(get_args(RequestStage))
#: The purpose of an answer -> the field of the profile.
ANSWERS: Mapping[str, str] = {
    "marketing": "marketing_consent",
    "review": "review_consent",
    "survey": "survey_consent",
    "profile": "profile_consent",
}
SERVICE, NORMAL = "service", "normal"


def request_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a request. Arguments and errors as `orders.order_event`."""
    kind, stage = record["kind"], record["stage"]
    if kind not in _KINDS:
        raise ValidationFailed("unknown_kind", "unknown kind of request")
    if stage not in _STAGES or (stage != "asked" and kind not in CONFIRMED_KINDS):
        raise ValidationFailed("unknown_kind", "unknown stage of this kind of request")
    at = parse_time(record["occurred_at"], "occurred_at", written_at)
    details: dict[str, Any] = {}
    if stage == "asked" and kind == "change_address":
        if not (record["email"] or "").strip():
            raise ValidationFailed("missing_field", "change_address without email")
        details["email"] = parse_email(record["email"].strip(), "email")
    elif kind == "frequency":
        details["wants_fewer"] = record["frequency"] != NORMAL
    elif kind == "preferences":
        details["profile"] = _profile(record, at)
        details["wants_service"] = record["answers"].get(SERVICE)
    return CustomerRequested(
        request_id=parse_id(record, "request_id"),
        customer_id=record["customer_id"],
        kind=kind,
        stage=stage,
        occurred_at=at,
        **details,
    )


def _profile(record: Record, at: datetime) -> ProfileUpdated:
    if record["locale"]:
        check_locale(record["locale"])
    answers, dates = record["answers"], parse_dates(record["dates"])
    return ProfileUpdated(
        customer_id=record["customer_id"],
        occurred_at=at,
        locale=record["locale"] or None,
        birthday=parse_birthday(record["birthday"]),
        removes_birthday=record["birthday"] == "",
        dates=dates,
        tracking_consent=record["tracking"],
        consent_notice=parse_id(record, "notice") if record["notice"] else None,
        consent_source=parse_text(record["source"], "source", MAX_ID) or None,
        consent_wording=parse_text(record["wording"], "wording", MAX_WORDING) or None,
        **{field: answers[purpose] for purpose, field in ANSWERS.items() if purpose in answers},
    )
