"""Requests end to end: from the topic to the email with a link, from its confirmation to the customer's page and state."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.tools.local.kafka.committed import read_all
from streams.wire import topics
from tests.harness import records
from tests.harness.stack import Stack, open_stack

ANNA, OLD, NEW = "anna-1", "anna@old.example", "anna@new.example"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack whose days last a minute."""
    with open_stack(tmp_path, day_s=60.0) as stack:
        yield stack


def ask(stack: Stack, kind: str, stage: str, email: str | None = None) -> None:
    """Publish a request of Anna, as the gateway does."""
    request = {
        "request_id": f"{kind}-1",
        "customer_id": ANNA,
        "kind": kind,
        "stage": stage,
        "email": email,
        "occurred_at": datetime.now(UTC),
    }
    stack.produce(topics.REQUESTS, ANNA.encode(), request)


def pages(stack: Stack) -> list[str | None]:
    """Return the masked address of each page so far, None for a tombstone."""
    found = read_all(stack.settings.kafka(), [topics.CUSTOMER_PAGES])[topics.CUSTOMER_PAGES]
    return [
        stack.codec.decode("customer_page", record.value())["masked_address"] if record.value() is not None else None
        for record in found
    ]


@pytest.mark.campaign
def test_a_customer_changes_the_address_and_is_then_erased(stack: Stack) -> None:
    """Each email goes to the right address once, `takk requests` lists what the shop has to do, and at the end nothing is stored."""
    now = datetime.now(UTC)
    order = records.order(order_id="o-1", customer_id=ANNA, email=OLD, name="Anna Holm", placed_at=now, occurred_at=now)
    stack.produce(topics.ORDERS, ANNA.encode(), order)
    stack.wait_until(lambda: bool(stack.inbox.mails(OLD)), "the confirmation of the order")

    ask(stack, "change_address", "asked", NEW)
    stack.wait_until(lambda: bool(stack.inbox.mails(NEW)), "the email to the new address")
    (mail,) = stack.inbox.mails(NEW)
    assert mail.html is not None
    assert "/a/" in mail.html
    assert stack.takk("requests") == "0 open.\n"
    for _ in range(2):
        ask(stack, "change_address", "confirmed")
    stack.wait_until(lambda: "a•••@n•••.example" in pages(stack), "the page with the new address")

    before = len(stack.inbox.mails(NEW))
    ask(stack, "erase", "asked")
    stack.wait_until(lambda: len(stack.inbox.mails(NEW)) > before, "the email that asks about the erasure")
    ask(stack, "erase", "confirmed")
    stack.wait_until(lambda: pages(stack)[-1] is None, "the end of the page")

    listed = stack.takk("requests")
    assert [line.partition("[")[2] for line in listed.splitlines()[:-1]] == ["change_address-1]", "erase-1]"]
    assert "1 marked" in stack.takk("requests", "--done", "erase-1")
    assert stack.takk("requests").endswith("1 open.\n")
    refused = stack.run_takk("requests", "--done", "erase-1")
    assert (refused.returncode, "not open: erase-1" in refused.stderr) == (1, True)

    stack.wait_until_idle()
    verdict = stack.judge()
    assert (verdict.problems, verdict.lost, verdict.duplicates) == ([], [], [])
    assert verdict.states == {}
    assert not [letter["reason"] for letter in stack.records(topics.DEAD_LETTERS)]
