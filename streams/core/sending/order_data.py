"""The data of an order for an email's templates, in JSON types: money is {"minor": int, "currency": str}."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import asdict

from streams.core.model.orders.order import NO_DETAILS, NO_LINE_DETAILS, Address, OrderLine
from streams.core.model.orders.order_state import OrderFacts, OrderState
from streams.core.model.orders.receipt import Row, quantity_text, rate_text, receipt_of
from streams.core.values.local_time import WEEKDAYS, text_of


def order_data(order: OrderState, facts: OrderFacts, zone: ZoneInfo) -> dict[str, Any]:
    """Return the data of an order, `order` in templates. `zone` is the customer's time zone."""
    placed = facts.placed_at.astimezone(zone)
    details, currency = facts.details or NO_DETAILS, facts.currency
    receipt = receipt_of(facts.lines, facts.total_minor, facts.discount_minor, facts.details)

    def money(minor: int) -> dict[str, Any]:
        return {"minor": minor, "currency": currency}

    point, recipient = details.pickup_point, details.gift_recipient
    return {
        "order_id": order.order_id,
        "order_number": order_number(order),
        "placed_at": text_of(facts.placed_at.astimezone(UTC)),
        "total": money(facts.total_minor),
        "lines": [_line_data(line, amount, currency) for line, amount in zip(facts.lines, receipt.lines, strict=True)],
        "ship_country": facts.ship_country,
        "subtotal": money(receipt.subtotal),
        "adjustments": [_row_data(row, currency) for row in receipt.rows],
        "included_taxes": [_row_data(row, currency) for row in receipt.included],
        "paid": money(details.paid_minor) if details.paid_minor is not None else None,
        "refunded": money(order.refund_minor) if order.refund_minor else None,
        "shop_total": (
            {"minor": details.shop_total_minor, "currency": details.shop_currency}
            if details.shop_total_minor is not None and details.shop_currency
            else None
        ),
        "payment_method": details.payment_method,
        "shipping_method": details.shipping_method,
        "shipping_address": address_data(details.shipping_address),
        "billing_address": address_data(details.billing_address),
        "pickup_point": (
            {
                "name": point.name,
                "address": address_data(point.address),
                "opening_hours": point.opening_hours,
            }
            if point is not None
            else None
        ),
        "status_url": details.status_url,
        "return_url": details.return_url,
        "withdrawal_url": details.withdrawal_url,
        "invoice_number": details.invoice_number,
        "invoiced_at": text_of(details.invoiced_at) if details.invoiced_at is not None else None,
        "invoice_note": details.invoice_note,
        "prices_include_tax": details.prices_include_tax,
        "company": details.company,
        "vat_number": details.vat_number,
        "note": details.note,
        "is_gift": details.is_gift,
        "gift_recipient": {"name": recipient.name, "message": recipient.message} if recipient is not None else None,
        "is_test": details.is_test,
        "is_paid": order.paid_at is not None,
        "is_refunded": order.refunded_at is not None,
        "is_cancelled": order.cancelled_at is not None,
        "weekday": WEEKDAYS[placed.weekday()],
        "month": placed.month,
        "hour": placed.hour,
    }


def order_number(order: OrderState) -> str:
    """Return the number by which the customer knows an order: the shop's number, or else the id."""
    facts = order.facts
    return (facts.details.order_number if facts is not None and facts.details is not None else "") or order.order_id


def complete_order(order: dict[str, Any]) -> None:
    """Add to the data of an order what an earlier version did not write, so that the present templates can use it.

    Args:
        order: `order` of a command, changed in place. Its fields stay, and nothing is added to data that is not an order's.
    """
    lines = order.get("lines")
    if not isinstance(lines, list):
        return
    order.update({key: value for key, value in _LATER.items() if key not in order})
    for line in lines:
        if isinstance(line, dict):
            line.setdefault("tax_rate", "")
    if "adjustments" in order:
        return
    for line in lines:
        if isinstance(line, dict) and isinstance(price := line.get("unit_price"), dict):
            quantity, minor = line.get("quantity"), price.get("minor")
            if isinstance(quantity, int) and isinstance(minor, int):
                amount = {"minor": quantity * minor, "currency": price.get("currency")}
                extras = _line_extras(OrderLine("", "", "", quantity, minor), amount)
                line.update({key: value for key, value in extras.items() if key not in line})
    added: dict[str, Any] = {
        "order_number": order.get("order_id", ""),
        "subtotal": order.get("total"),
        **dict.fromkeys(("adjustments", "included_taxes"), ()),
        **dict.fromkeys(_OPTIONAL),
        **dict.fromkeys(_TEXTS, ""),
        "is_gift": False,
        "is_test": False,
    }
    order.update({key: value for key, value in added.items() if key not in order})


#: The fields that commands of earlier versions lack, although they have all amounts.
_LATER: dict[str, Any] = {
    **dict.fromkeys(("is_paid", "is_refunded", "is_cancelled"), False),
    "weekday": "", "month": 0, "hour": 0, "invoiced_at": None, "invoice_note": "", "prices_include_tax": True,
}  # fmt: skip
_OPTIONAL = ("paid", "refunded", "shop_total", "shipping_address", "billing_address", "pickup_point", "gift_recipient")
_TEXTS = (
    "payment_method", "shipping_method", "status_url", "return_url", "withdrawal_url", "invoice_number", "company", "vat_number", "note",
)  # fmt: skip


def _line_data(line: OrderLine, amount: int, currency: str) -> dict[str, Any]:
    return {
        "sku": line.sku,
        "title": line.title,
        "category": line.category,
        "quantity": line.quantity,
        "unit_price": {"minor": line.unit_price_minor, "currency": currency},
        **_line_extras(line, {"minor": amount, "currency": currency}),
    }


def _line_extras(line: OrderLine, amount: dict[str, Any]) -> dict[str, Any]:
    details = line.details or NO_LINE_DETAILS
    discount = details.discount_minor
    return {
        "variant": details.variant,
        "quantity_decimal": quantity_text(line),
        "unit": details.unit,
        "amount": amount,
        "discount": {"minor": discount, "currency": amount["currency"]} if discount else None,
        "kind": details.kind,
        "is_digital": details.is_digital,
        "tax_rate": rate_text(details.tax_rate),
        "image_url": details.image_url,
        "product_url": details.product_url,
    }


def _row_data(row: Row, currency: str) -> dict[str, Any]:
    amount = {"minor": row.minor, "currency": currency}
    return {"kind": row.kind, "label": row.label, "rate": rate_text(row.tax_rate), "amount": amount}


def address_data(address: Address | None) -> dict[str, str] | None:
    """Return the parts of an address by name; None if it is unknown."""
    return asdict(address) if address is not None else None
