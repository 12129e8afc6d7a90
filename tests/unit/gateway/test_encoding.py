"""The encoder of the gateway: its compiled encoder of engagement writes what the schema says."""

from __future__ import annotations

from typing import Any

import pytest

from streams.gateway.encoding import ENGAGEMENT_FIELDS, RecordEncoder
from streams.runtime.avro.schemas import load_schemas
from streams.wire.codec import SCHEMAS
from streams.wire.topics import ENGAGEMENT
from tests.harness.codec import CODEC
from tests.harness.records import AT


def test_fields_of_engagement() -> None:
    """The encoder knows each field of the schema and its default: one that it does not know would be lost."""
    fields = load_schemas(SCHEMAS)["engagement"]["fields"]
    assert dict(ENGAGEMENT_FIELDS) == {field["name"]: field.get("default") for field in fields}


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "clicked", "agent": "human", "link": "https://shop.example/ø"},
        {"kind": "opened"},
        {"kind": "unsubscribed", "scope": "review", "send_id": "s-1"},
        {"kind": "answered", "question": "nps", "answer": "x" * 2000, "answer_thousandths": 7000},
        {"kind": "reviewed", "sku": "TEA-1", "stars": 4, "most_stars": 10},
    ],
)
def test_bytes(fields: dict[str, Any]) -> None:
    """The bytes are those of the codec."""
    record = {"customer_id": "c-1", "occurred_at": AT, "event_id": "e-1", **fields}
    written = RecordEncoder(CODEC).record(ENGAGEMENT, "c-1", "e-1", record)
    assert written.value == CODEC.encode("engagement", record)


@pytest.mark.parametrize("fields", [{"kind": "unheard"}, {"kind": "clicked", "customer_id": None}, {"kind": 1}])
def test_invalid(fields: dict[str, Any]) -> None:
    """A record that does not fit the schema is refused, as for every other topic."""
    with pytest.raises((ValueError, TypeError)):
        RecordEncoder(CODEC).record(ENGAGEMENT, "c-1", "e-1", {"customer_id": "c-1", "occurred_at": AT, **fields})
