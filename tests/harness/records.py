"""Valid records of each kind that Takk reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

AT = datetime(2026, 3, 27, 12, 30, 0, 5000, tzinfo=UTC)
AT_MS = int(AT.timestamp() * 1000)
KEY = b"c1"


def order(**changes: Any) -> dict[str, Any]:
    """Return an order placed at `AT`."""
    record = {
        "order_id": "o1",
        "customer_id": "c1",
        "kind": "placed",
        "email": "anna@example.org",
        "name": "Anna Østergård",
        "locale": "da",
        "country": "DK",
        "ship_country": "DK",
        "currency": "DKK",
        "total_minor": 50050,
        "placed_at": AT,
        "occurred_at": AT,
        "time_zone": "Europe/Copenhagen",
        "lines": [line()],
        "discount_minor": 0,
        "order_number": "",
        "shop_id": "",
        "subtotal_minor": None,
        "shipping_minor": None,
        "shipping_method": "",
        "discounts": [],
        "taxes": [],
        "tax_minor": None,
        "prices_include_tax": True,
        "paid_minor": None,
        "refunded_minor": None,
        "shop_currency": "",
        "shop_total_minor": None,
        "payment_method": "",
        "payment_status": "unknown",
        "payment_at": None,
        "invoice_number": "",
        "returns": [],
        "billing_address": None,
        "shipping_address": None,
        "pickup_point": None,
        "status_url": "",
        "note": "",
        "tags": [],
        "company": "",
        "vat_number": "",
        "is_test": False,
        "is_gift": False,
        "gift_recipient": None,
        "is_imported": False,
        "return_url": "",
        "withdrawal_url": "",
        "invoiced_at": None,
        "invoice_note": "",
    }
    return {**record, **changes}


def line(**changes: Any) -> dict[str, Any]:
    """Return a line of an order."""
    record = {
        "sku": "s1",
        "title": "Kande",
        "category": "kitchen",
        "quantity": 1,
        "unit_price_minor": 50050,
        "lasts_days": None,
        "variant": "",
        "quantity_thousandths": None,
        "unit": "",
        "total_minor": None,
        "discount_minor": 0,
        "tax_rate": None,
        "tax_minor": None,
        "image_url": "",
        "product_url": "",
        "kind": "product",
        "is_digital": False,
    }
    return {**record, **changes}


def shipment(**changes: Any) -> dict[str, Any]:
    """Return a parcel shipped at `AT`."""
    record = {
        "customer_id": "c1",
        "order_id": "o1",
        "parcel_id": "o1-p1",
        "parcels_in_order": 1,
        "carrier": "PostNord",
        "tracking_number": "001",
        "tracking_url": "https://track.example/001",
        "status": "shipped",
        "window_from": AT + timedelta(days=2),
        "window_to": AT + timedelta(days=2, hours=4),
        "lines": [{"sku": "s1", "quantity": 1}],
        "occurred_at": AT,
        "is_imported": False,
        "exception_reason": None,
        "pickup": None,
        "estimated_day": None,
        "carrier_status": "",
        "is_test": False,
    }
    return {**record, **changes}


def engagement(kind: str, **changes: Any) -> dict[str, Any]:
    """Return an engagement of `kind` at `AT`."""
    return {"customer_id": "c1", "send_id": "s-1", "kind": kind, "occurred_at": AT, **changes}


def profile(**changes: Any) -> dict[str, Any]:
    """Return a profile without data."""
    return {"customer_id": "c1", "occurred_at": AT, **changes}


def browsing(kind: str, **changes: Any) -> dict[str, Any]:
    """Return a view of the product `s1`, or another action of `kind`, at `AT`."""
    return {"customer_id": "c1", "kind": kind, "sku": "s1", "occurred_at": AT, **changes}


def product(**changes: Any) -> dict[str, Any]:
    """Return the product `s1` of 100 kroner."""
    record = {
        "sku": "s1",
        "title": "Kande",
        "category": "kitchen",
        "unit_price_minor": 10_000,
        "currency": "DKK",
        "updated_at": AT,
    }
    return {**record, **changes}


def handover(**changes: Any) -> dict[str, Any]:
    """Return an order of the guest `guest-1`, who is now `c1`, as the flows agent hands it over."""
    record = {
        "handover_id": "orders/1/7",
        "customer_id": "c1",
        "kind": "record",
        "path": ["guest-1"],
        "state": None,
        "topic": "orders",
        "value": b"",
        "occurred_at": AT,
    }
    return {**record, **changes}


def discount_code(**changes: Any) -> dict[str, Any]:
    """Return a code of the pool `spring-10`."""
    return {"pool": "spring-10", "code": "SPRING-ABC", "expires_at": AT + timedelta(days=60), **changes}


def code_grant(**changes: Any) -> dict[str, Any]:
    """Return a code granted at `AT`."""
    record = {
        "reward_id": "r1",
        "customer_id": "c1",
        "pool": "spring-10",
        "flow": "spring",
        "flow_version": 2,
        "instance_id": "i1",
        "step": "0",
        "order_id": "o1",
        "code": "SPRING-ABC",
        "expires_at": AT + timedelta(days=60),
        "occurred_at": AT,
    }
    return {**record, **changes}


def email_event(**changes: Any) -> dict[str, Any]:
    """Return the report of an email accepted at `AT`."""
    record = {
        "event_id": "s-1.1.sent",
        "send_id": "s-1",
        "customer_id": "c1",
        "outcome": "sent",
        "instance_id": "i1",
        "flow": "review",
        "flow_version": 1,
        "step": "1",
        "message": "ask",
        "purpose": "review",
        "attempt": 1,
        "commanded_at": AT,
        "occurred_at": AT,
    }
    return {**record, **changes}


def timer(**changes: Any) -> dict[str, Any]:
    """Return a timer of a step, due at `AT`."""
    record = {
        "timer_id": "t1",
        "due_at": AT,
        "customer_id": "c1",
        "kind": "step",
        "instance_id": "i1",
        "flow": "review",
        "step": "1",
    }
    return {**record, **changes}


def retry(**changes: Any) -> dict[str, Any]:
    """Return the timer of a second attempt."""
    record = timer(
        timer_id="s-1.2",
        kind="retry",
        send_id="s-1",
        attempt=2,
        purpose="review",
        not_after=AT + timedelta(days=1),
        command=b"command",
    )
    return {**record, **changes}


def attributed_order(number: int, flow: str = "review", **changes: Any) -> dict[str, Any]:
    """Return the attribution of order `number`, of 100 kroner, to an email of a flow."""
    record = {
        "attribution_id": f"a-{number}",
        "customer_id": f"c-{number}",
        "kind": "ordered",
        "send_id": "s",
        "flow": flow,
        "flow_version": 1,
        "step": "0",
        "message": "ask",
        "order_id": f"o-{number}",
        "revenue_minor": 10_000,
        "currency": "DKK",
        "occurred_at": AT,
    }
    return {**record, **changes}
