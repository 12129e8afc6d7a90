"""Contacts that other systems report: their emails and series."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from streams.core.model.events import (
    ContactPressed,
)
from streams.core.rules.ruleset import Limits
from tests.harness.driver import START, Driver
from tests.harness.flow_texts import (
    DAY,
    HOUR,
    buy,
    flow_text,
    ruleset_of,
    run_of,
    sent,
)

SEND = "steps: [{send: {message: a}}]"


def contact(
    run: Driver, kind: Any, source: str = "letters", purpose: str = "marketing", days: float | None = None
) -> ContactPressed:
    """An event of another system about a contact with c1, which lasts for `days`."""
    until = None if days is None else run.now + days * DAY
    return ContactPressed(customer_id="c1", source=source, kind=kind, purpose=purpose, until=until, occurred_at=run.now)


@pytest.mark.parametrize(("purpose", "days"), [("marketing", 3), ("review", 3), ("order", 0)])
def test_emails_of_other_systems(purpose: str, days: float) -> None:
    """An email of another system takes a place under the caps once, unless it is transactional."""
    run = run_of(f"trigger: {{on: order.placed}}\n{SEND}", purpose="marketing", rules="caps: [{most: 1, per: 3d}]")
    run.handle(*[contact(run, "sent", purpose=purpose)] * 2)
    buy(run)
    run.advance(9 * DAY)
    assert sent(run) == [("a", days)]


@pytest.mark.parametrize(
    ("contacts", "day"),
    [
        ([("running", 3.0)], 3.0),
        ([("running", None), ("ended", None)], 0.0),
        ([("running", 0.5), ("running", 4.5)], 4.5),
        ([("ended", None), ("running", 2.0)], 2.0),
    ],
)
def test_series_of_other_systems(contacts: list[tuple[str, float | None]], day: float) -> None:
    """A flow waits for a series in `not_with` until it ends. The newest event counts, in any order of arrival."""
    facts = [
        ContactPressed(
            customer_id="c1",
            source="letters",
            kind=kind,  # type: ignore[arg-type]  # one of the literals
            purpose="marketing",
            until=None if days is None else START + days * DAY,
            occurred_at=START - timedelta(minutes=len(contacts) - number),
        )
        for number, (kind, days) in enumerate(contacts)
    ]
    for order_of_arrival in (facts, facts[::-1], facts * 2):
        run = run_of(
            "trigger: {on: order.placed}\nnot_with: [letters]\nsteps: [{send: {message: a, expires: 30d}}]",
            purpose="marketing",
        )
        run.handle(*order_of_arrival)
        buy(run)
        run.advance(9 * DAY)
        assert sent(run) == [("a", day)]


def test_running_series() -> None:
    """Marketing emails wait while a series in `while_running` runs."""
    rules = "calm: {while_running: [complaint]}"
    transactional = flow_text("trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: b}}]", name="g")
    advertising = flow_text(
        "trigger: {on: order.placed}\nsteps: [{wait: 2d}, {send: {message: a, expires: 20d}}]", purpose="marketing"
    )
    run = Driver(ruleset_of(advertising, transactional, rules=rules))
    buy(run)
    run.handle(contact(run, "running", source="complaint"))
    run.advance(5 * DAY + HOUR)
    assert run.messages() == ["b"]
    assert {rule for _, outcome, rule in run.decisions() if outcome == "defer"} == {"calm_series"}
    run.handle(contact(run, "ended", source="complaint"))
    run.advance(DAY)
    assert run.messages() == ["b", "a"]


def test_running_series_with_many_contacts() -> None:
    """A running series stays remembered behind many emails of other systems, whose number is limited."""
    run = run_of(
        "trigger: {on: order.placed}\nsteps: [{wait: 30d}, {send: {message: a, expires: 20d}}]",
        purpose="marketing",
        rules="calm: {while_running: [complaint]}",
    )
    buy(run)
    run.handle(contact(run, "running", source="complaint"))
    for _ in range(30):
        run.advance(DAY)
        run.handle(contact(run, "sent"))
    run.advance(2 * DAY)
    assert run.messages() == []
    run.handle(*[contact(run, "running", source=f"s{number}") for number in range(30)])
    assert len(run.customers["c1"].contacts) == run.ruleset.limits.contacts


def test_old_contact() -> None:
    """An email of another system that is older than all remembered ones leaves the state unchanged."""
    run = run_of(f"trigger: {{on: order.placed}}\n{SEND}", limits=Limits(contacts=2))
    for days in (2, 3, 1):
        before = run.customers.get("c1")
        run.handle(
            ContactPressed(
                customer_id="c1",
                source="esp",
                kind="sent",
                purpose="marketing",
                until=None,
                occurred_at=START + days * DAY,
            )
        )
    assert run.customers["c1"] is before
