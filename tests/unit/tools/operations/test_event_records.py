"""Events from the JSON records of the API."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from streams.gateway.api.examples import EXAMPLES
from streams.settings import PROJECT_ROOT
from streams.tools.operations.event_records import ENDPOINTS, EventError, endpoint_of, read_event

NOW = datetime(2026, 4, 1, 9, 0, tzinfo=UTC)
SCHEMAS = PROJECT_ROOT / "schemas"
RECORDS = [(endpoint, record) for endpoint in ENDPOINTS for record in EXAMPLES[endpoint].values()]


@pytest.mark.parametrize(("endpoint", "record"), RECORDS)
def test_examples(endpoint: str, record: dict[str, object]) -> None:
    """Every example of the API is read as an event of its customer, and its endpoint is found by its fields."""
    assert endpoint_of(record) == endpoint
    event = read_event(json.dumps(record).encode(), None, SCHEMAS, NOW)
    assert event.customer_id == record["customer_id"]


def test_the_customer_is_filled_in() -> None:
    """A record without a customer id is about the customer of the command, and one of another customer is refused."""
    record = {"kind": "opened", "occurred_at": "2026-03-02T09:00:00Z", "agent": "human", "send_id": "s1"}
    assert read_event(json.dumps(record).encode(), "c1", SCHEMAS, NOW).customer_id == "c1"
    with pytest.raises(EventError, match="another customer than 'c1'"):
        read_event(json.dumps(record | {"customer_id": "c2"}).encode(), "c1", SCHEMAS, NOW)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected an object, not an array"),
        ('{"kind": "opend", "customer_id": "c1"}', "kind: unknown value 'opend'"),
        ('{"customer_id": "c1", "nam": "Anna"}', "nam: unknown field (did you mean 'name'?)"),
        ('{"customer_id": "", "occurred_at": "2026-03-02T09:00:00Z"}', "customer_id"),
    ],
)
def test_invalid_records(text: str, message: str) -> None:
    """An invalid record is refused with the field and what is wrong with it."""
    with pytest.raises(EventError) as error:
        read_event(text.encode(), None, SCHEMAS, NOW)
    assert message in str(error.value)
