"""Hints for unknown fields of messages."""

from __future__ import annotations

import pytest

from streams.definitions.checks.message_fields import unknown_field

PICKUP = {"name": "Kiosk", "last_day": "2026-03-05"}
DATA = {
    "customer": {"name": "Anna", "categories": [{"category": "tea", "recency": 3}]},
    "order": {"total": 1, "lines": [{"sku": "S-1", "title": "Tea"}], "billing_address": None},
    "shipment": {"pickup": PICKUP},
}


@pytest.mark.parametrize(
    ("word", "text", "message", "hint"),
    [
        ("totl", "{{ order.totl }}", "unknown field 'totl' of order", "did you mean 'total'?"),
        ("name", "{{ order.billing_address.name }}", "order.billing_address is empty in some emails: it has no 'name'",
         "put it between {% if order.billing_address %} and {% endif %}"),
        ("last_day", "{{ shipment.last_day }}", "unknown field 'last_day' of shipment", "did you mean shipment.pickup.last_day?"),
        ("recency", "{{ customer.recency }}", "unknown field 'recency' of customer",
         "only conditions have customer.recency; known: name, categories"),
        ("titel", "{{ order.lines[0].titel }}", "unknown field 'titel' of order.lines[0]", "did you mean 'title'?"),
        ("size", "{% for line in order.lines %}{{ line.size }}{% endfor %}", "unknown field 'size' of line", "known: sku, title"),
        ("size", "{{ other.size }}", "unknown field 'size'",
         "known: billing_address, categories, category, customer, last_day, lines, name, order, pickup, recency, shipment, sku, title, total"),
    ],
)  # fmt: skip
def test_hint(word: str, text: str, message: str, hint: str) -> None:
    """A hint names the fields of the value before the dot. A field that exists elsewhere is never suggested as its own correction."""
    assert unknown_field(word, text, DATA) == (message, hint)
