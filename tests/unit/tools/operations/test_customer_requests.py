"""Open requests: those that were confirmed in time and are not done, the oldest first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from streams.tools.operations.customer_requests import ANSWER_WITHIN, TO_DO, OpenRequest, open_requests
from tests.harness.records import AT

DAY = timedelta(days=1)


def record(stage: str, day: float = 0, kind: str = "export", number: int = 1, customer: str = "c1") -> dict[str, Any]:
    """Return a record of a request."""
    return {
        "request_id": f"{kind}-{number}",
        "customer_id": customer,
        "kind": kind,
        "stage": stage,
        "occurred_at": AT + day * DAY,
    }


def test_open_are_those_that_were_confirmed_and_are_not_done() -> None:
    """A request opens with its first confirmation in time, once, and ends when it is done."""
    found = open_requests(
        [
            record("asked", 0, number=1), record("confirmed", 3, number=1), record("confirmed", 4, number=1),
            record("asked", 0, "erase", 2), record("confirmed", 1, "erase", 2), record("asked", 0, "erase", 2),
            record("asked", 0, number=3),
            record("confirmed", 0, number=4),
            record("asked", 0, number=5), record("confirmed", 8, number=5),
            record("asked", 0, number=7), record("confirmed", 1, number=7), record("done", 2, number=7), record("confirmed", 2, number=7),
            record("asked", 0, "frequency", 8), record("asked", 0, "preferences", 9),
        ]
    )  # fmt: skip
    assert [(request.request_id, request.confirmed_at) for request in found] == [
        ("erase-2", AT + DAY),
        ("export-1", AT + 3 * DAY),
    ]


def test_a_request_of_a_merged_customer() -> None:
    """The request has the customer's earlier id and the confirmation the new one; their partitions are read in any order."""
    records = [record("confirmed", 1, customer="c2"), record("asked", 0)]
    (request,) = open_requests(records)
    assert (request.customer_id, request.confirmed_at) == ("c2", AT + DAY)
    assert open_requests([*records, record("done", 2, customer="c2")]) == []


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (AT + timedelta(hours=5), "0 days old, 27 days left"),
        (AT + 20 * DAY, "20 days old, 8 days left"),
        (AT + ANSWER_WITHIN + DAY, "29 days old, 1 day overdue"),
    ],
)
def test_a_line_says_what_is_left(now: datetime, text: str) -> None:
    """Age, the days until the month has passed, and what the shop has to do, without more data than the id."""
    request = OpenRequest(request_id="export-1", customer_id="c1", kind="export", confirmed_at=AT)
    assert request.text(now) == f"2026-03-27  {text}  export of c1: {TO_DO['export']}  [export-1]"
