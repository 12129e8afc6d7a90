"""The data of templates: commands of earlier versions are completed, and whatever a context holds is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core.sending.content import complete, template_data
from tests.harness.effects import SEND

OLD_LINE = {"sku": "s1", "title": "Tea", "category": "", "quantity": 2, "unit_price": {"minor": 150, "currency": "DKK"}}
OLD_ORDER = {
    "order_id": "o1",
    "placed_at": "2026-03-02T09:00:00+00:00",
    "total": {"minor": 300, "currency": "DKK"},
    "lines": [OLD_LINE],
}


def test_a_command_of_an_earlier_version_has_all_fields() -> None:
    """Every field of a present order and its lines is there; what the command has stays."""
    data = {"order": {**OLD_ORDER, "lines": [dict(OLD_LINE)]}, "shipment": {"order_id": "o1", "carrier": "PostNord"}}
    complete(data)
    present = template_data(SEND.content)
    order = data["order"]
    assert set(order) == set(present["order"]) - {"ship_country"}
    assert set(order["lines"][0]) == set(present["order"]["lines"][0])
    assert order["order_number"] == data["shipment"]["order_number"] == "o1"
    assert order["lines"][0]["amount"] == {"minor": 300, "currency": "DKK"}
    assert {key: order[key] for key in OLD_ORDER if key != "lines"} == {
        key: OLD_ORDER[key] for key in OLD_ORDER if key != "lines"
    }
    assert set(data["shipment"]) >= {"pickup", "estimated_day", "exception_reason"}


def test_a_present_command_is_not_changed() -> None:
    """Completion changes nothing that this version has written."""
    data, same = template_data(SEND.content), template_data(SEND.content)
    complete(data)
    assert data == same


@pytest.mark.parametrize(
    "context",
    [{}, {"order": 1}, {"order": {}}, {"order": {"lines": 3}}, {"order": {"lines": [None, {"unit_price": 1}]}}, {"shipment": []},
     {"order": {"lines": [{"quantity": "2", "unit_price": {"minor": None}}]}}],
)  # fmt: skip
def test_a_context_of_any_form_is_accepted(context: dict[str, Any]) -> None:
    """A context that is not what Takk writes raises nothing here; the template reports what it lacks."""
    complete(context)
