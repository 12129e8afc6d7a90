"""Decoded records to the core's events: one function per topic. A record that breaks a rule raises ValidationFailed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import get_args

from streams.core.model import events
from streams.core.model.events import Event
from streams.core.model.orders.order import Address, ParcelDetails, PickupPoint
from streams.core.rules.consent_policy import PURPOSES
from streams.wire import topics
from streams.wire.decode.engagement import engagement_event
from streams.wire.decode.orders import order_event
from streams.wire.decode.products import product_change_event
from streams.wire.decode.requests import request_event
from streams.wire.decode.traits import parse_traits
from streams.wire.validation import (
    MAX_GENDER,
    MAX_ID,
    MAX_LINES,
    MAX_SOURCE,
    MAX_WORDING,
    Record,
    ValidationFailed,
    check_amount,
    check_link,
    check_locale,
    check_number,
    clipped,
    country_or_empty,
    day_or_empty,
    parse_birthday,
    parse_code,
    parse_country,
    parse_email,
    parse_id,
    parse_optional_time,
    parse_pool,
    parse_text,
    parse_time,
    parse_time_zone,
)

#: Characters of the code of a pickup place, of a part of its address, and of its opening hours or a carrier's status. The state keeps them.
MAX_PICKUP_CODE, MAX_PLACE_PART, MAX_PLACE = 50, 80, 200
_NO_PARCEL_DETAILS = ParcelDetails()
_BROWSING = frozenset(get_args(events.BrowsingKind))
_STATUSES = frozenset(get_args(events.ShipmentStatus))


def shipment_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a parcel. Arguments and errors as `orders.order_event`."""
    if record["status"] not in _STATUSES:
        raise ValidationFailed("unknown_kind", "unknown status of a shipment")
    check_number(record["parcels_in_order"], "parcels_in_order")
    lines = record["lines"]
    if len(lines) > MAX_LINES:
        raise ValidationFailed("too_many_lines", f"lines: {len(lines)}")
    for line in lines:
        if line["quantity"]:  # an integration that lists all lines of the order gives the parcel 0 of the others
            check_number(line["quantity"], "lines.quantity")
    link = record["tracking_url"]
    check_link(link, "tracking_url")
    return events.ShipmentUpdated(
        customer_id=record["customer_id"],
        order_id=parse_id(record, "order_id"),
        parcel_id=parse_id(record, "parcel_id"),
        parcels_in_order=record["parcels_in_order"],
        carrier=parse_text(record["carrier"], "carrier"),
        tracking_number=parse_text(record["tracking_number"], "tracking_number", MAX_ID),
        tracking_url=link,
        status=record["status"],
        window_from=parse_optional_time(record, "window_from"),
        window_to=parse_optional_time(record, "window_to"),
        lines=tuple([_shipped_line(line) for line in lines if line["quantity"]]),
        is_imported=record["is_imported"],
        occurred_at=parse_time(record["occurred_at"], "occurred_at", written_at),
        details=_parcel_details(record),
    )


def _shipped_line(line: Record) -> events.ShippedLine:
    return events.ShippedLine(parse_id(line, "sku") if line["sku"] else "", line["quantity"])


def _parcel_details(record: Record) -> ParcelDetails | None:
    place = record["pickup"]
    status = record["status"]
    details = ParcelDetails(
        (record["exception_reason"] or "unknown") if status == "exception" else "",
        _pickup_place(place) if place is not None else None,
        clipped(place["code"], MAX_PICKUP_CODE) if place is not None else "",
        day_or_empty(place["last_day"]) if place is not None else "",
        day_or_empty(record["estimated_day"]),
        clipped(record["carrier_status"], MAX_PLACE),
        record["is_test"],
    )
    return details if details != _NO_PARCEL_DETAILS else None


def _pickup_place(place: Record) -> PickupPoint:
    parts = {part: clipped(place[part], MAX_PLACE_PART) for part in ("line1", "line2", "postal_code", "city")}
    address = Address(**parts, country=country_or_empty(place["country"]))
    return PickupPoint(clipped(place["name"], MAX_PLACE_PART), address, clipped(place["opening_hours"], MAX_PLACE))


def profile_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a customer's profile, or of a merge with another customer. Arguments and errors as `orders.order_event`."""
    email, name, locale, country = (record["email"] or "").strip(), record["name"], record["locale"], record["country"]
    if locale:
        check_locale(locale)
    # The forms of a shop send an empty text for an unknown value.
    profile = events.ProfileUpdated(
        customer_id=record["customer_id"],
        email=parse_email(email, "email") if email else None,
        name=parse_text(name, "name") if name else None,
        locale=locale or None,
        country=parse_country(country, "country") or None if country else None,
        time_zone=parse_time_zone(record["time_zone"]),
        marketing_consent=record["marketing_consent"],
        tracking_consent=record["tracking_consent"],
        review_consent=record["review_consent"],
        survey_consent=record["survey_consent"],
        profile_consent=record["profile_consent"],
        consent_notice=parse_id(record, "consent_notice") if record["consent_notice"] else None,
        consent_source=parse_text(record["consent_source"] or "", "consent_source", MAX_ID) or None,
        consent_wording=parse_text(record["consent_wording"] or "", "consent_wording", MAX_WORDING) or None,
        birthday=parse_birthday(record["birthday"]),
        gender=parse_text(record["gender"], "gender", MAX_GENDER) if record["gender"] else None,
        history=record["history"],
        orders_before=_checked(record["orders_before"], "orders_before"),
        spend_before_minor=_checked(record["spend_before_minor"], "spend_before_minor"),
        is_imported=record["is_imported"],
        occurred_at=parse_time(record["occurred_at"], "occurred_at", written_at),
        **parse_traits(record),
    )
    into = record["merged_into"]
    if not into:
        return profile
    parse_id(record, "merged_into")
    if into == profile.customer_id:
        raise ValidationFailed("bad_merge", "a customer that is merged into itself")
    has_values = profile != events.ProfileUpdated(customer_id=profile.customer_id, occurred_at=profile.occurred_at)
    return events.CustomerMerged(
        customer_id=profile.customer_id,
        into=into,
        occurred_at=profile.occurred_at,
        profile=profile if has_values else None,
    )


def _checked(amount: int | None, field: str) -> int:
    """Return an amount, or 0 if it is unknown."""
    if amount is not None:
        check_amount(amount, field)
    return amount or 0


def browsing_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a product that a customer viewed or put into the cart. Arguments and errors as `orders.order_event`."""
    kind = record["kind"]
    if kind not in _BROWSING:
        raise ValidationFailed("unknown_kind", "unknown kind of browsing")
    return events.ProductBrowsed(
        customer_id=record["customer_id"],
        kind=kind,
        sku=parse_id(record, "sku") if kind != "cart_emptied" else "",
        occurred_at=parse_time(record["occurred_at"], "occurred_at", written_at),
        launches_at=parse_optional_time(record, "launches_at"),
    )


def pressure_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a contact by another system. Arguments and errors as `orders.order_event`."""
    if record["kind"] not in ("sent", "running", "ended"):
        raise ValidationFailed("unknown_kind", "unknown kind of contact pressure")
    if record["purpose"] not in PURPOSES:
        raise ValidationFailed("unknown_kind", "unknown purpose")
    if len(record["source"]) > MAX_SOURCE:
        raise ValidationFailed("too_long", f"source: {len(record['source'])} characters, {MAX_SOURCE} at most")
    return events.ContactPressed(
        customer_id=record["customer_id"],
        source=parse_id(record, "source"),
        kind=record["kind"],
        purpose=record["purpose"],
        until=parse_optional_time(record, "until"),
        occurred_at=parse_time(record["occurred_at"], "occurred_at", written_at),
    )


def report_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a report of the mailer. Arguments and errors as `orders.order_event`."""
    return events.MailReported(
        customer_id=record["customer_id"],
        send_id=parse_id(record, "send_id"),
        outcome=record["outcome"],
        occurred_at=parse_time(record["occurred_at"], "occurred_at", written_at),
    )


def grant_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a code that a pool granted. Arguments and errors as `orders.order_event`."""
    return events.CodeGranted(
        customer_id=record["customer_id"],
        reward_id=parse_id(record, "reward_id"),
        pool=parse_pool(record),
        flow=record["flow"],
        flow_version=record["flow_version"],
        instance_id=parse_id(record, "instance_id"),
        step=record["step"],
        order_id=record["order_id"],
        code=parse_code(record),
        expires_at=parse_optional_time(record, "expires_at"),
        occurred_at=parse_time(record["occurred_at"], "occurred_at", written_at),
    )


def timer_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a timer that fired. Arguments and errors as `orders.order_event`."""
    due_at = parse_time(record["due_at"], "due_at", None)
    # A timer fired when its record on flow-due was written.
    fired_at = written_at or due_at
    if record["kind"] == "step":
        return events.TimerFired(
            customer_id=record["customer_id"],
            timer_id=parse_id(record, "timer_id"),
            instance_id=parse_id(record, "instance_id"),
            flow=record["flow"],
            step=record["step"],
            due_at=due_at,
            occurred_at=fired_at,
        )
    if record["kind"] != "retry":
        raise ValidationFailed("unknown_kind", "unknown kind of timer")
    for field in ("send_id", "purpose", "not_after", "command"):
        if record[field] is None:
            raise ValidationFailed("missing_field", f"retry without {field}")
    check_number(record["attempt"], "attempt")
    return events.RetryDue(
        customer_id=record["customer_id"],
        timer_id=parse_id(record, "timer_id"),
        send_id=parse_id(record, "send_id"),
        attempt=record["attempt"],
        purpose=record["purpose"],
        not_after=parse_time(record["not_after"], "not_after", None),
        command=record["command"],
        due_at=due_at,
        occurred_at=fired_at,
    )


#: Topic -> the schema of its records, and the function that turns a record into an event.
EVENT_DECODERS: dict[str, tuple[str, Callable[[Record, datetime | None], Event]]] = {
    topics.ORDERS: ("order", order_event),
    topics.SHIPMENTS: ("shipment", shipment_event),
    topics.ENGAGEMENT: ("engagement", engagement_event),
    topics.CUSTOMERS: ("customer", profile_event),
    topics.BROWSING: ("browsing", browsing_event),
    topics.PRESSURE: ("contact_pressure", pressure_event),
    topics.EVENTS: ("email_event", report_event),
    topics.REQUESTS: ("customer_request", request_event),
    topics.PRODUCT_CHANGES: ("product_change", product_change_event),
    topics.GRANTS: ("code_grant", grant_event),
    topics.DUE: ("timer", timer_event),
}
