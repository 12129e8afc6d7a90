"""Events from the JSON records of the API, read without a gateway."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from streams.core.model.events import Event
from streams.core.values.ids import digest_of
from streams.gateway.api.conversion import Issue, Issues
from streams.gateway.api.json_text import InvalidJson, parse_json
from streams.gateway.api.kinds import Target, choose, targets_in
from streams.gateway.api.records import broken_rule
from streams.wire import topics
from streams.wire.validation import ValidationFailed

#: The endpoints whose records are about a customer, and fields that tell their records from those of the endpoints below.
ENDPOINTS = {
    "shipments": ("parcel_id",),
    "orders": ("placed_at", "total_minor", "lines"),
    "events": ("kind",),
    "customers": (),
}


class EventError(ValueError):
    """A text that is not a valid record. The message says why, one line per field."""


def endpoint_of(record: Any) -> str:
    """Return the endpoint that takes the record, judged by its fields."""
    fields = record if isinstance(record, dict) else {}
    return next((name for name, marks in ENDPOINTS.items() if any(mark in fields for mark in marks)), "customers")


def read_event(text: bytes, customer_id: str | None, schemas_dir: Path, now: datetime, endpoint: str = "") -> Event:
    """Return the event of one record in JSON.

    Args:
        text: the record, as the API takes it.
        customer_id: the customer of a record without `customer_id`; None for no such customer.
        schemas_dir: the folder of the Avro schemas.
        now: when the record counts as written, UTC.
        endpoint: the endpoint that the record is for, "" to judge by its fields.

    Raises:
        EventError: the text is not JSON, the record is invalid, or it is of another customer.
    """
    try:
        record = parse_json(text)
    except InvalidJson as error:
        raise EventError(str(error)) from error
    if isinstance(record, dict) and customer_id is not None:
        record = {"customer_id": customer_id} | record
        if record["customer_id"] != customer_id:
            raise EventError(f"customer_id: the event is about another customer than {customer_id!r}")
    issues = Issues()
    target = choose(targets_in(schemas_dir)[endpoint or endpoint_of(record)], record, issues)
    converted = target.convert(record, issues) if target is not None else None
    if target is None or converted is None:
        raise EventError("\n".join(map(_text_of, issues)))
    if target.topic == topics.ENGAGEMENT and converted["event_id"] is None:
        converted["event_id"] = digest_of(text)
    return _decoded(target, converted, now)


def _decoded(target: Target, record: dict[str, Any], now: datetime) -> Event:
    try:
        if not record["customer_id"]:
            raise ValidationFailed("bad_id", "customer_id is empty")
        event: Any = target.decode(record, now)
    except ValidationFailed as error:
        raise EventError(_text_of(broken_rule(error, target.schema))) from error
    decoded: Event = event
    return decoded


def _text_of(issue: Issue) -> str:
    field = f"{issue.field}: " if issue.field and not issue.message.startswith(issue.field) else ""
    return f"{field}{issue.message}{f' ({issue.hint})' if issue.hint else ''}"
