"""The end of a demo: every order is accounted for, and the report contains what a reader looks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from streams.tools.local.demo_report import account_for_orders, most_frequent, quantiles, report
from streams.tools.local.progress import CONFIRMATION

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def decision(order_id: str, outcome: str, rule: str, minute: int = 0, flow: str = CONFIRMATION) -> dict[str, Any]:
    """A decision about an order, `minute` minutes after noon."""
    at = NOON + timedelta(minutes=minute)
    return {"flow": flow, "order_id": order_id, "outcome": outcome, "rule": rule, "decided_at": at}


def test_every_order_is_accounted_for() -> None:
    """The numbers add up to the orders placed: confirmed, not confirmed by rule, on its way, not handled, not written."""
    decisions = [
        decision("o3", "skip", "not_after", minute=2),
        decision("o1", "send", "transactional"),
        decision("o2", "exit", "order.cancelled"),
        decision("o3", "send", "transactional", minute=1),
        decision("o4", "send", "transactional"),
        decision("o5", "skip", "no_consent", flow="thank-you"),
        decision("o6", "exit", "order.cancelled"),
    ]
    orders = ["o1", "o2", "o3", "o4", "o5", "o6", "o6"]
    results = account_for_orders(orders, ["o1"], decisions, placed=8)
    assert results == {
        "confirmed by email": 1,
        "not confirmed: the order was cancelled": 2,
        "not confirmed: it was too late to send it": 1,
        "not confirmed: the email was still on its way when the demo ended": 1,
        "not confirmed: no flow has handled the order yet": 1,
        "not written to Kafka": 2,
    }
    assert sum(results.values()) == 8


def test_a_confirmed_order_counts_once() -> None:
    """An order that is cancelled after its confirmation is confirmed; without orders the sum is 0."""
    decisions = [decision("o1", "send", "transactional"), decision("o1", "exit", "order.cancelled", minute=1)]
    assert account_for_orders(["o1"], ["o1"], decisions, placed=1) == {"confirmed by email": 1}
    assert account_for_orders([], [], [], placed=0) == {"confirmed by email": 0}


def test_the_report_ends_with_the_orders() -> None:
    """Problems come first; the last lines are the orders by result."""
    summary = {
        "orders": 3,
        "orders_by_result": {"confirmed by email": 2, "not confirmed: the order was cancelled": 1},
        "mails": 5,
        "mails_by_flow": {CONFIRMATION: 2, "review": 3},
        "lost": 0,
        "duplicates": 1,
        "dead_letters": 0,
        "order_to_mail_p50_s": 0.05,
        "order_to_mail_p99_s": 1.5,
        "problems": ["an email twice"],
        "day": "1s",
        "api_records": 1,
        "gateway": {
            "actions": {"opened": 3, "reviewed": 1},
            "lost": 1,
            "duplicates": 0,
            "repeats": 2,
            "others": 0,
            "unanswered": 0,
            "scanned_links": 6,
        },
    }
    lines = report(summary, Path(".takk/demo"))
    assert lines[0] == "problem: an email twice"
    assert "emails   5 of 2 flows: 3 review, 2 order-confirmation" in lines
    assert any("lost=0 duplicates=1 dead_letters=0" in line for line in lines)
    assert lines[4:7] == [
        "actions  4 of recipients over HTTP: 3 opened, 1 reviewed",
        "         1 record of the shop through the JSON API; mail scanners followed 6 links",
        "         lost=1 duplicates=0 (compared with what the gateway accepted); 2 repeated without effect",
    ]
    assert lines[-3:] == [
        "orders   3 orders placed:",
        "             2 confirmed by email",
        "             1 not confirmed: the order was cancelled",
    ]


def test_the_progress_shows_the_flows_with_the_most_emails() -> None:
    """They come in the order of their numbers, and the others as one number."""
    assert most_frequent({"a": 1, "b": 5, "c": 5, "d": 2}, most=2) == [("b", 5), ("c", 5), ("2 other flows", 3)]
    assert most_frequent({"a": 1, "b": 5}, most=2) == [("b", 5), ("a", 1)]


def test_quantiles() -> None:
    """The median and the 99th percentile; one value is both, and no value is 0."""
    assert quantiles([]) == (0.0, 0.0)
    assert quantiles([2.0]) == (2.0, 2.0)
    assert quantiles([1.0, 2.0, 3.0])[0] == 2.0
