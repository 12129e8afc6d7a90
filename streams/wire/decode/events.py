"""Decoded records to the core's events: one function per topic. A record that breaks a rule raises ValidationFailed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, get_args

from streams.core.model import events
from streams.core.model.events import Event
from streams.core.rules.consent_policy import PURPOSES
from streams.wire import topics
from streams.wire.validation import (
    MAX_GENDER,
    MAX_ID,
    MAX_LINES,
    MAX_LINK,
    MAX_SOURCE,
    MAX_WORDING,
    Record,
    ValidationFailed,
    check_address,
    check_amount,
    check_country,
    check_currency,
    check_link,
    check_locale,
    check_number,
    parse_birthday,
    parse_code,
    parse_country,
    parse_id,
    parse_optional_time,
    parse_pool,
    parse_text,
    parse_time,
    parse_time_zone,
)

_ORDER_EVENTS: dict[str, Callable[[events.Order, datetime], events.OrderEvent]] = {
    event.NAME.removeprefix("order."): event for event in get_args(events.OrderEvent)
}
_STATUSES = frozenset(get_args(events.ShipmentStatus))


def order_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of an order.

    Args:
        record: the decoded record.
        written_at: when the record was written, UTC, or None if unknown.

    Raises:
        ValidationFailed: the record breaks a rule.
    """
    event_type = _ORDER_EVENTS.get(record["kind"])
    if event_type is None:
        raise ValidationFailed("unknown_kind", "unknown kind of order event")
    lines = record["lines"]
    if len(lines) > MAX_LINES:
        raise ValidationFailed("too_many_lines", f"lines: {len(lines)}")
    check_amount(record["total_minor"], "total_minor")
    check_amount(record["discount_minor"], "discount_minor")
    check_currency(record["currency"])
    if record["email"]:
        check_address(record["email"], "email")
    check_locale(record["locale"])
    country, ship_country = record["country"], record["ship_country"]
    check_country(country, "country")
    if ship_country is not country:
        check_country(ship_country, "ship_country")
    order = events.Order(
        order_id=parse_id(record, "order_id"),
        customer_id=record["customer_id"],
        email=record["email"],
        name=parse_text(record["name"], "name"),
        locale=record["locale"],
        country=country,
        ship_country=ship_country,
        currency=record["currency"],
        total_minor=record["total_minor"],
        placed_at=parse_time(record["placed_at"], "placed_at", written_at),
        lines=tuple([_order_line(line) for line in lines]),
        time_zone=parse_time_zone(record["time_zone"]),
        discount_minor=record["discount_minor"],
        is_imported=record["is_imported"],
    )
    return event_type(order, parse_time(record["occurred_at"], "occurred_at", written_at))


def _order_line(line: Record) -> events.OrderLine:
    check_number(line["quantity"], "lines.quantity")
    check_amount(line["unit_price_minor"], "lines.unit_price_minor")
    lasts_days = line["lasts_days"]
    if lasts_days is not None:
        check_number(lasts_days, "lines.lasts_days")
    return events.OrderLine(
        parse_id(line, "sku"),
        parse_text(line["title"], "lines.title"),
        parse_text(line["category"], "lines.category"),
        line["quantity"],
        line["unit_price_minor"],
        lasts_days,
    )


def shipment_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a parcel. Arguments and errors as `order_event`."""
    if record["status"] not in _STATUSES:
        raise ValidationFailed("unknown_kind", "unknown status of a shipment")
    check_number(record["parcels_in_order"], "parcels_in_order")
    lines = record["lines"]
    if len(lines) > MAX_LINES:
        raise ValidationFailed("too_many_lines", f"lines: {len(lines)}")
    for line in lines:
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
        lines=tuple([events.ShippedLine(parse_id(line, "sku"), line["quantity"]) for line in lines]),
        is_imported=record["is_imported"],
        occurred_at=parse_time(record["occurred_at"], "occurred_at", written_at),
    )


def engagement_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of an engagement with an email. Arguments and errors as `order_event`."""
    kind, customer_id = record["kind"], record["customer_id"]
    at = parse_time(record["occurred_at"], "occurred_at", written_at)
    send_id = record["send_id"]
    if send_id is not None:
        parse_id(record, "send_id")
    if kind == "unsubscribed":
        scope: Literal["marketing", "review", "survey", "service"] = record["scope"] or "marketing"
        return events.Unsubscribed(customer_id=customer_id, send_id=send_id, scope=scope, occurred_at=at)
    if kind == "answered":
        question, answer = record["question"], record["answer"]
        if not question or answer is None:
            raise ValidationFailed("missing_field", "answered without question or answer")
        return events.SurveyAnswered(
            customer_id=customer_id,
            send_id=send_id,
            question=parse_id(record, "question"),
            answer=parse_text(answer, "answer", MAX_LINK),
            occurred_at=at,
        )
    if kind not in _MAIL_EVENTS:
        raise ValidationFailed("unknown_kind", "unknown kind of engagement")
    if send_id is None:
        raise ValidationFailed("missing_field", f"{kind} without send_id")
    return _MAIL_EVENTS[kind](record, customer_id, send_id, at)


def _clicked(record: Record, customer_id: str, send_id: str, at: datetime) -> Event:
    link = record["link"]
    if not link:
        raise ValidationFailed("missing_field", "clicked without link")
    return events.MailClicked(
        customer_id=customer_id,
        send_id=send_id,
        link=parse_text(link, "link", MAX_LINK),
        agent=record["agent"],
        occurred_at=at,
    )


def _bounced(record: Record, customer_id: str, send_id: str, at: datetime) -> Event:
    return events.MailBounced(
        customer_id=customer_id,
        send_id=send_id,
        hard=bool(record["hard"]),
        reason=parse_text(record["reason"] or "", "reason", MAX_LINK),
        occurred_at=at,
    )


_MAIL_EVENTS: dict[str, Callable[[Record, str, str, datetime], Event]] = {
    "delivered": lambda record, customer_id, send_id, at: events.MailDelivered(
        customer_id=customer_id, send_id=send_id, occurred_at=at
    ),
    "opened": lambda record, customer_id, send_id, at: events.MailOpened(
        customer_id=customer_id, send_id=send_id, agent=record["agent"], occurred_at=at
    ),
    "clicked": _clicked,
    "bounced": _bounced,
    "complained": lambda record, customer_id, send_id, at: events.MailComplained(
        customer_id=customer_id, send_id=send_id, occurred_at=at
    ),
}


def profile_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a customer's profile. Arguments and errors as `order_event`."""
    email, name, locale, country = (record["email"] or "").strip(), record["name"], record["locale"], record["country"]
    if email:
        check_address(email, "email")
    if locale:
        check_locale(locale)
    # The forms of a shop send an empty text for an unknown value.
    return events.ProfileUpdated(
        customer_id=record["customer_id"],
        email=email or None,
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
    )


def _checked(amount: int | None, field: str) -> int:
    """Return an amount, or 0 if it is unknown."""
    if amount is not None:
        check_amount(amount, field)
    return amount or 0


def browsing_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a product that a customer viewed or put into the cart. Arguments and errors as `order_event`."""
    if record["kind"] not in ("viewed", "added_to_cart", "removed_from_cart"):
        raise ValidationFailed("unknown_kind", "unknown kind of browsing")
    return events.ProductBrowsed(
        customer_id=record["customer_id"],
        kind=record["kind"],
        sku=parse_id(record, "sku"),
        occurred_at=parse_time(record["occurred_at"], "occurred_at", written_at),
        launches_at=parse_optional_time(record, "launches_at"),
    )


def pressure_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a contact by another system. Arguments and errors as `order_event`."""
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
    """Return the event of a report of the mailer. Arguments and errors as `order_event`."""
    return events.MailReported(
        customer_id=record["customer_id"],
        send_id=parse_id(record, "send_id"),
        outcome=record["outcome"],
        occurred_at=parse_time(record["occurred_at"], "occurred_at", written_at),
    )


def grant_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of a code that a pool granted. Arguments and errors as `order_event`."""
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
    """Return the event of a timer that fired. Arguments and errors as `order_event`."""
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
    topics.GRANTS: ("code_grant", grant_event),
    topics.DUE: ("timer", timer_event),
}
