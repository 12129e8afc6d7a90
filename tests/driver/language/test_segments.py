"""Segments: flows that start when a customer enters or leaves one."""

from __future__ import annotations

from datetime import timedelta

from streams.core.model.effects import LogDecision, ScheduleTimer
from streams.core.model.events import (
    ProductBrowsed,
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


def test_entered_and_left() -> None:
    """A flow starts when the customer enters or leaves a segment, also if only time passes."""
    segments = "returning: customer.orders >= 2\nfresh: customer.days_since_last_order < 30"
    ruleset = ruleset_of(
        flow_text(f"trigger: {{on: segment.entered, segment: returning}}\n{SEND}"),
        flow_text("trigger: {on: segment.left, segment: fresh}\nsteps: [{send: {message: b}}]", name="g"),
        segments=segments,
    )
    run = Driver(ruleset)
    buy(run)
    assert run.messages() == []
    buy(run, "o2")
    assert run.messages() == ["a"]
    run.advance(40 * DAY)
    assert sent(run) == [("a", 0), ("b", 30)]
    assert run.customers["c1"].segments == ("returning",)
    assert run.customers["c1"].instances == ()


def test_entered_by_time() -> None:
    """A customer enters a segment on the exact day, each time, and not while buying."""
    flow = flow_text(f"trigger: {{on: segment.entered, segment: lapsed, again_after: 30d}}\n{SEND}")
    run = Driver(ruleset_of(flow, segments="lapsed: customer.orders > 0 and customer.days_since_last_order > 365"))
    buy(run)
    run.advance(100 * DAY)
    buy(run, "o2")
    run.advance(400 * DAY)
    assert sent(run) == [("a", 100 + 366)]
    buy(run, "o3")
    run.advance(2000 * DAY)
    assert sent(run) == [("a", 466), ("a", 500 + 366)]
    assert run.customers["c1"].instances == ()


def test_day_scale() -> None:
    """With shorter days, days since an event are shorter too."""
    scale = 1 / 86_400
    second = timedelta(seconds=1)
    flows = [
        flow_text(f"trigger: {{on: segment.entered, segment: lapsed}}\n{SEND}"),
        flow_text(
            "trigger: {on: order.placed}\ngoal: customer.days_since_visit < 3\nsteps: [{wait: 10d}, {send: {message: b}}]",
            name="g",
        ),
    ]
    run = Driver(
        ruleset_of(
            *flows, segments="lapsed: customer.orders > 0 and customer.days_since_last_order > 365", day_scale=scale
        )
    )
    run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=run.now))
    run.advance(5 * second)
    buy(run)
    run.advance(11 * second)
    assert run.messages() == ["b"]
    run.advance(400 * second)
    decided = [
        effect.decided_at - START
        for effect in run.effects
        if isinstance(effect, LogDecision) and effect.outcome == "send"
    ]
    assert [(message, round(at / second)) for message, at in zip(run.messages(), decided, strict=True)] == [
        ("b", 15),
        ("a", 371),
    ]


def test_timers_of_segments() -> None:
    """A segment that depends on time needs one timer, however many events there are."""
    flow = flow_text(f"trigger: {{on: segment.left, segment: browsing}}\n{SEND}")
    run = Driver(ruleset_of(flow, segments="browsing: customer.days_since_visit <= 14"))
    buy(run)
    for _ in range(60):
        run.handle(ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=run.now))
        run.advance(DAY)
    assert len([effect for effect in run.effects if isinstance(effect, ScheduleTimer)]) == 5
    run.advance(90 * DAY)
    assert sent(run) == [("a", 59 + 15)]


def test_limit_of_instances() -> None:
    """Without room for an instance that waits for the segment, a decision says so."""
    flows = [flow_text("trigger: {on: order.placed}\nsteps: [{wait: 5d}, {send: {message: a}}]", name="g")]
    flows.append(flow_text(f"trigger: {{on: segment.entered, segment: lapsed}}\n{SEND}"))
    segments = "lapsed: customer.days_since_last_order == 9"
    run = Driver(ruleset_of(*flows, segments=segments, limits=Limits(instances=1)))
    buy(run)
    limits = [effect.flow for effect in run.effects if isinstance(effect, LogDecision) and effect.rule == "instances"]
    assert limits == ["f"]
    run.advance(8 * DAY)
    assert [instance.flow for instance in run.customers["c1"].instances] == ["f"]


def test_days_since_a_visit() -> None:
    """The newest view counts in any order of arrival. Views change the state once an hour."""
    run = run_of("""trigger: {on: order.placed}
steps: [{split: [{when: customer.days_since_visit == 3, steps: [{send: {message: a}}]}, {otherwise: [{send: {message: b}}]}]}]""")
    buy(run)
    looks = [
        ProductBrowsed(customer_id="c1", kind="viewed", sku="s1", occurred_at=run.now + length)
        for length in (2 * HOUR, HOUR, 2 * HOUR + timedelta(minutes=20), DAY)
    ]
    run.handle(*looks[:2])
    known = run.customers["c1"]
    run.handle(looks[2])
    assert run.customers["c1"] is known
    run.handle(looks[3])
    run.advance(4 * DAY + HOUR)
    buy(run, "o2")
    assert run.messages() == ["b", "a"]
