"""The records of orders.

Required fields are validated. Optional ones, such as a picture or a note, are cut or left out if they are invalid: a customer gets the
receipt even if one of the many optional fields is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import itemgetter
from typing import Any, get_args

from streams.addresses import parse_address
from streams.core.model import events
from streams.core.model.events import Event
from streams.core.model.orders import order as orders
from streams.wire.validation import (
    MAX_ID,
    MAX_LINES,
    MAX_LINK,
    MAX_NUMBER,
    MAX_TEXT,
    Record,
    ValidationFailed,
    check_amount,
    check_country,
    check_currency,
    check_locale,
    check_number,
    check_signed_amount,
    clipped,
    country_or_empty,
    link_or_empty,
    parse_id,
    parse_optional_amount,
    parse_optional_time,
    parse_text,
    parse_time,
    parse_time_zone,
)

_ORDER_EVENTS: dict[str, Callable[[events.Order, datetime], events.OrderEvent]] = {
    event.NAME.removeprefix("order."): event for event in get_args(events.OrderEvent)
}
#: Discounts, taxes and returns of an order.
MAX_ROWS = 100
#: Tags of an order that are read.
MOST_TAGS = 20
#: Characters of an order's number, of a tag and of other short texts; of a part of an address; of a unit.
MAX_SHORT, MAX_PART, MAX_UNIT = 100, 200, 20
#: The highest tax rate, in thousandths of a percent: 1,000 %.
MAX_RATE = 1_000_000
#: The fields of a record that are in `OrderDetails`, and those of a line in `LineDetails`, with the values of a record without them.
_NO_DETAILS: dict[str, Any] = {
    "order_number": "", "shop_id": "", "subtotal_minor": None, "shipping_minor": None, "shipping_method": "", "discounts": [],
    "taxes": [], "tax_minor": None, "prices_include_tax": True, "paid_minor": None, "shop_currency": "", "shop_total_minor": None,
    "payment_method": "", "payment_status": "unknown", "payment_at": None, "invoice_number": "", "returns": [],
    "billing_address": None, "shipping_address": None, "pickup_point": None, "status_url": "", "note": "", "tags": [], "company": "",
    "vat_number": "", "is_test": False, "is_gift": False, "gift_recipient": None, "return_url": "",
    "withdrawal_url": "", "invoiced_at": None, "invoice_note": "",
}  # fmt: skip
_NO_LINE_DETAILS = {
    "variant": "", "quantity_thousandths": None, "unit": "", "total_minor": None, "discount_minor": 0, "tax_rate": None,
    "tax_minor": None, "image_url": "", "product_url": "", "kind": "product", "is_digital": False,
}  # fmt: skip
# One comparison finds the records without details, which are many.
_details_of, _WITHOUT = itemgetter(*_NO_DETAILS), tuple(_NO_DETAILS.values())
_line_details_of, _LINE_WITHOUT = itemgetter(*_NO_LINE_DETAILS), tuple(_NO_LINE_DETAILS.values())


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
    _check_length(record, "lines", MAX_LINES)
    check_amount(record["total_minor"], "total_minor")
    check_amount(record["discount_minor"], "discount_minor")
    check_currency(record["currency"])
    email = parse_address(record["email"])
    check_locale(record["locale"])
    country, ship_country = record["country"], record["ship_country"]
    check_country(country, "country")
    if ship_country is not country:
        check_country(ship_country, "ship_country")
    order = events.Order(
        order_id=parse_id(record, "order_id"),
        customer_id=record["customer_id"],
        email=email or "",
        name=parse_text(record["name"], "name"),
        locale=record["locale"],
        country=country,
        ship_country=ship_country,
        currency=record["currency"],
        total_minor=record["total_minor"],
        placed_at=parse_time(record["placed_at"], "placed_at", written_at),
        lines=tuple([_line(line) for line in record["lines"]]),
        time_zone=parse_time_zone(record["time_zone"]),
        discount_minor=record["discount_minor"],
        refunded_minor=parse_optional_amount(record, "refunded_minor"),
        details=_details(record) if _details_of(record) != _WITHOUT else None,
        has_bad_address=email is None and bool(record["email"].strip()),
        is_imported=record["is_imported"],
    )
    return event_type(order, parse_time(record["occurred_at"], "occurred_at", written_at))


def _line(line: Record) -> events.OrderLine:
    quantity, price, lasts_days = line["quantity"], line["unit_price_minor"], line["lasts_days"]
    if not -MAX_NUMBER <= quantity <= MAX_NUMBER:
        raise ValidationFailed("too_much", f"lines.quantity is above {MAX_NUMBER:,} or below -{MAX_NUMBER:,}")
    check_signed_amount(price, "lines.unit_price_minor")
    if lasts_days is not None:
        check_number(lasts_days, "lines.lasts_days")
    has_details = price < 0 or _line_details_of(line) != _LINE_WITHOUT
    return events.OrderLine(
        parse_id(line, "sku") if line["sku"] else "",
        parse_text(line["title"], "lines.title"),
        parse_text(line["category"], "lines.category"),
        quantity,
        price,
        lasts_days,
        _line_details(line) if has_details else None,
    )


def _line_details(line: Record) -> orders.LineDetails:
    thousandths, total, tax = line["quantity_thousandths"], line["total_minor"], line["tax_minor"]
    if thousandths is not None and not -MAX_NUMBER * 1000 <= thousandths <= MAX_NUMBER * 1000:
        raise ValidationFailed("too_much", f"lines.quantity_thousandths is above {MAX_NUMBER * 1000:,}")
    for value, field in ((total, "lines.total_minor"), (tax, "lines.tax_minor")):
        if value is not None:
            check_signed_amount(value, field)
    check_amount(line["discount_minor"], "lines.discount_minor")
    kind = line["kind"]
    if kind in ("product", "unknown"):
        kind = "discount" if line["unit_price_minor"] < 0 else "product"
    return orders.LineDetails(
        clipped(line["variant"], MAX_PART),
        thousandths,
        clipped(line["unit"], MAX_UNIT),
        total,
        line["discount_minor"],
        _rate(line["tax_rate"]),
        tax,
        kind,
        line["is_digital"],
        link_or_empty(line["image_url"], MAX_TEXT),
        link_or_empty(line["product_url"], MAX_TEXT),
    )


def _details(record: Record) -> orders.OrderDetails:
    if record["shop_currency"]:
        check_currency(record["shop_currency"])
    for field in ("discounts", "taxes", "returns"):
        _check_length(record, field, MAX_ROWS)
    recipient = record["gift_recipient"]
    return orders.OrderDetails(
        clipped(record["order_number"].strip(), MAX_SHORT),
        clipped(record["shop_id"], MAX_SHORT),
        parse_optional_amount(record, "subtotal_minor"),
        parse_optional_amount(record, "shipping_minor"),
        clipped(record["shipping_method"], MAX_PART),
        tuple([_discount(discount) for discount in record["discounts"]]),
        tuple([_tax(tax) for tax in record["taxes"]]),
        parse_optional_amount(record, "tax_minor"),
        record["prices_include_tax"],
        parse_optional_amount(record, "paid_minor"),
        record["shop_currency"],
        parse_optional_amount(record, "shop_total_minor"),
        clipped(record["payment_method"], MAX_PART),
        record["payment_status"],
        parse_optional_time(record, "payment_at"),
        clipped(record["invoice_number"], MAX_SHORT),
        tuple([_return(returned) for returned in record["returns"]]),
        _address(record["billing_address"]),
        _address(record["shipping_address"]),
        _pickup_point(record["pickup_point"]),
        link_or_empty(record["status_url"]),
        clipped(record["note"], MAX_LINK),
        tuple([clipped(tag, MAX_SHORT) for tag in record["tags"][:MOST_TAGS]]),
        clipped(record["company"], MAX_PART),
        clipped(record["vat_number"], MAX_SHORT),
        record["is_test"],
        record["is_gift"],
        _gift_recipient(recipient) if recipient is not None else None,
        link_or_empty(record["return_url"]),
        link_or_empty(record["withdrawal_url"]),
        parse_optional_time(record, "invoiced_at"),
        clipped(record["invoice_note"], MAX_TEXT),
    )


def _discount(record: Record) -> orders.OrderDiscount:
    check_amount(record["amount_minor"], "discounts.amount_minor")
    return orders.OrderDiscount(
        clipped(record["code"], MAX_SHORT), clipped(record["title"], MAX_PART), record["amount_minor"]
    )


def _tax(record: Record) -> orders.OrderTax:
    check_amount(record["amount_minor"], "taxes.amount_minor")
    return orders.OrderTax(clipped(record["title"], MAX_SHORT), _rate(record["tax_rate"]), record["amount_minor"])


def _rate(rate: int | None) -> int | None:
    return rate if rate is not None and 0 <= rate <= MAX_RATE else None


def _return(record: Record) -> orders.OrderReturn:
    _check_length(record, "lines", MAX_LINES)
    lines = [(clipped(line["sku"], MAX_ID), line["quantity"]) for line in record["lines"]]
    return orders.OrderReturn(
        clipped(record["return_id"], MAX_PART),
        parse_optional_time(record, "received_at"),
        tuple([(sku, quantity) for sku, quantity in lines if 0 < quantity <= MAX_NUMBER]),
    )


def _address(record: Record | None) -> orders.Address | None:
    if record is None:
        return None
    texts = {part: clipped(text, MAX_PART) for part, text in record.items()}
    return orders.Address(**(texts | {"country": country_or_empty(record["country"])}))


def _pickup_point(record: Record | None) -> orders.PickupPoint | None:
    if record is None:
        return None
    hours = clipped(record["opening_hours"])
    return orders.PickupPoint(clipped(record["name"], MAX_PART), _address(record["address"]), hours)


def _gift_recipient(record: Record) -> orders.GiftRecipient:
    return orders.GiftRecipient(
        clipped(record["name"], MAX_PART), parse_address(record["email"]) or "", clipped(record["message"], MAX_LINK)
    )


def _check_length(record: Record, field: str, most: int) -> None:
    if len(record[field]) > most:
        raise ValidationFailed("too_many_lines", f"{field}: {len(record[field])}, {most} at most")
