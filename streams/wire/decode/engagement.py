"""The records of engagement: reactions to emails, answers, and what customers do in the shop besides buying."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, get_args

from streams.core.model import events
from streams.core.model.events import Event
from streams.core.model.person_events import ActivityKind
from streams.core.values.text import thousandths_text
from streams.wire.validation import (
    MAX_LINK,
    Record,
    ValidationFailed,
    check_currency,
    check_number,
    parse_id,
    parse_optional_amount,
    parse_text,
    parse_time,
)

#: A number that answers a question is at most a billion, in thousandths.
MAX_ANSWER = 10**12
#: The most stars of any source, and those that conditions see.
MAX_STARS, _STARS = 100, 5
_ACTIVITIES = frozenset(get_args(ActivityKind))
_ABOUT_PRODUCT = frozenset(("wished", "unwished", "liked", "unliked"))


def engagement_event(record: Record, written_at: datetime | None) -> Event:
    """Return the event of an engagement with an email. Arguments and errors as `orders.order_event`."""
    kind, customer_id = record["kind"], record["customer_id"]
    at = parse_time(record["occurred_at"], "occurred_at", written_at)
    _check_numbers(record)
    send_id = record["send_id"]
    if send_id is not None:
        parse_id(record, "send_id")
    event_id = parse_id(record, "event_id") if record["event_id"] else ""
    if kind == "unsubscribed":
        scope: Literal["marketing", "review", "survey", "service"] = record["scope"] or "marketing"
        return events.Unsubscribed(
            customer_id=customer_id, send_id=send_id, scope=scope, occurred_at=at, event_id=event_id
        )
    if kind == "answered":
        question, answer, number = record["question"], record["answer"], record["answer_thousandths"]
        if not question or (answer is None and number is None):
            raise ValidationFailed("missing_field", "answered without question or answer")
        return events.SurveyAnswered(
            customer_id=customer_id,
            send_id=send_id,
            question=parse_id(record, "question"),
            answer=parse_text(answer, "answer", MAX_LINK) if answer is not None else thousandths_text(number),
            occurred_at=at,
            number_thousandths=number,
            event_id=event_id,
        )
    if kind in _ACTIVITIES:
        return _activity(record, at, event_id)
    if kind not in _MAIL_EVENTS:
        raise ValidationFailed("unknown_kind", "unknown kind of engagement")
    if send_id is None:
        raise ValidationFailed("missing_field", f"{kind} without send_id")
    return _MAIL_EVENTS[kind](record, customer_id, send_id, at)


def _check_numbers(record: Record) -> None:
    number = record["answer_thousandths"]
    if number is not None and not -MAX_ANSWER <= number <= MAX_ANSWER:
        raise ValidationFailed("too_much", f"answer_thousandths is above {MAX_ANSWER:,} or below -{MAX_ANSWER:,}")
    for field in ("stars", "most_stars"):
        if record[field] is not None:
            check_number(record[field], field)
            if record[field] > MAX_STARS:
                raise ValidationFailed("too_much", f"{field} is above {MAX_STARS}")


def _activity(record: Record, at: datetime, event_id: str) -> Event:
    kind, stars, most = record["kind"], record["stars"], record["most_stars"]
    if kind in _ABOUT_PRODUCT and not record["sku"]:
        raise ValidationFailed("missing_field", f"{kind} without sku")
    if kind == "reviewed":
        if stars is None:
            raise ValidationFailed("missing_field", "reviewed without stars")
        if stars > most:
            raise ValidationFailed("too_much", "stars is above most_stars")
    price, currency = _price(record) if kind == "wished" else (None, "")
    return events.CustomerActed(
        customer_id=record["customer_id"],
        kind=kind,
        occurred_at=at,
        event_id=event_id,
        sku=parse_id(record, "sku") if record["sku"] else "",
        order_id=parse_id(record, "order_id") if record["order_id"] else "",
        # On a scale of five, and never 0: one star of ten is still one.
        stars=max(1, (stars * _STARS + most // 2) // most) if kind == "reviewed" else 0,
        contest=parse_id(record, "contest") if record["contest"] else "",
        unit_price_minor=price,
        currency=currency,
    )


def _price(record: Record) -> tuple[int | None, str]:
    """Return the price of a product in minor units, and its currency; None and "" if the record has none."""
    price, currency = parse_optional_amount(record, "unit_price_minor"), record["currency"] or ""
    if (price is None) != (not currency):
        raise ValidationFailed("missing_field", "unit_price_minor without currency, or currency without it")
    if currency:
        check_currency(currency)
    return price, currency


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
        event_id=record["event_id"] or "",
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
        customer_id=customer_id,
        send_id=send_id,
        agent=record["agent"],
        occurred_at=at,
        event_id=record["event_id"] or "",
    ),
    "clicked": _clicked,
    "bounced": _bounced,
    "complained": lambda record, customer_id, send_id, at: events.MailComplained(
        customer_id=customer_id, send_id=send_id, occurred_at=at
    ),
}
