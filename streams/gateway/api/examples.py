"""Examples of the records of each endpoint, for the OpenAPI document. A test sends all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ORDER: dict[str, Any] = {
    "order_id": "10042",
    "customer_id": "c-77",
    "kind": "placed",
    "email": "anna@example.org",
    "name": "Anna Holm",
    "locale": "da",
    "country": "DK",
    "currency": "DKK",
    "total_minor": 44900,
    "placed_at": "2026-03-02T09:00:00Z",
    "occurred_at": "2026-03-02T09:00:00Z",
    "lines": [{"sku": "JUG-1", "title": "Jug, blue", "quantity": 1, "unit_price_minor": 44900}],
}
_PARCEL: dict[str, Any] = {
    "customer_id": "c-77",
    "order_id": "10042",
    "parcel_id": "10042-1",
    "carrier": "PostNord",
    "tracking_number": "00370712345678901234",
    "tracking_url": "https://tracking.example/00370712345678901234",
    "status": "shipped",
    "occurred_at": "2026-03-03T14:20:00+01:00",
}

#: Endpoint -> title -> a record.
EXAMPLES: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "orders": {
        "An order": _ORDER,
        "An order with shipping, tax and a discount": {
            **_ORDER,
            "order_number": "#10042",
            "lines": [
                {
                    "sku": "JUG-1",
                    "title": "Jug",
                    "variant": "blue",
                    "category": "kitchen",
                    "quantity": 2,
                    "unit_price_minor": 22450,
                    "image_url": "https://shop.example/jug.jpg",
                    "product_url": "https://shop.example/jug",
                }
            ],
            "discounts": [{"code": "SPRING", "amount_minor": 4490}],
            "discount_minor": 4490,
            "shipping_minor": 3900,
            "shipping_method": "Parcel shop",
            "taxes": [{"title": "Moms", "tax_rate": 25000, "amount_minor": 8862}],
            "total_minor": 44310,
            "payment_method": "Visa ending in 4242",
            "payment_status": "paid",
            "shipping_address": {
                "name": "Anna Holm",
                "line1": "Nørregade 1",
                "postal_code": "1165",
                "city": "København",
                "country": "DK",
            },
            "status_url": "https://shop.example/orders/10042",
        },
        "A cancelled order": {**_ORDER, "kind": "cancelled", "occurred_at": 1772533800000},
    },
    "shipments": {
        "A parcel was shipped": _PARCEL,
        "A parcel waits to be collected": {
            **_PARCEL,
            "status": "ready_for_pickup",
            "occurred_at": "2026-03-04T10:00:00+01:00",
            "pickup": {"name": "Parcel box 12", "line1": "Nørreport 3", "city": "København", "last_day": "2026-03-11"},
        },
    },
    "customers": {
        "A customer who agreed to marketing": {
            "customer_id": "c-77",
            "email": "anna@example.org",
            "name": "Anna Holm",
            "locale": "da",
            "country": "DK",
            "marketing_consent": True,
            "consent_source": "checkout",
            "consent_notice": "2026-01",
            "occurred_at": "2026-03-02T09:00:00Z",
        },
        "Attributes and dates": {
            "customer_id": "c-77",
            "attributes": {"shoe_size": "38", "club_points": 120},
            "dates": {"wedding": "--06-01"},
            "occurred_at": "2026-03-02T09:00:00Z",
        },
    },
    "products": {
        "A product": {
            "sku": "JUG-1",
            "title": "Jug, blue",
            "category": "kitchen",
            "unit_price_minor": 44900,
            "currency": "DKK",
            "url": "https://shop.example/jug",
            "image_url": "https://shop.example/jug.jpg",
            "stock": 12,
            "updated_at": "2026-03-02T09:00:00Z",
        }
    },
    "events": {
        "A product was viewed": {
            "customer_id": "c-77",
            "kind": "viewed",
            "sku": "JUG-1",
            "occurred_at": "2026-03-02T08:55:00Z",
        },
        "A product was put into the cart": {
            "customer_id": "c-77",
            "kind": "added_to_cart",
            "sku": "JUG-1",
            "occurred_at": "2026-03-02T08:57:00Z",
        },
        "The cart was emptied without an order": {
            "customer_id": "c-77",
            "kind": "cart_emptied",
            "occurred_at": "2026-03-02T08:59:00Z",
        },
        "A customer unsubscribed in the shop": {
            "customer_id": "c-77",
            "kind": "unsubscribed",
            "scope": "marketing",
            "occurred_at": "2026-03-05T20:00:00Z",
        },
        "An email bounced": {
            "customer_id": "c-77",
            "kind": "bounced",
            "send_id": "4f1c8a62b3d94e0f",
            "hard": True,
            "reason": "550 5.1.1 no such user",
            "occurred_at": "2026-03-02T09:01:00Z",
        },
    },
}
